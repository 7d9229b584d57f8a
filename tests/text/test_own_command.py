"""Commands in hints, as the person types them."""

import pytest

from chatcli.cli.commands import COMMANDS
from chatcli.text.own_command import own_command, with_own_command

CHECKOUT = {"_CHATCLI_COMMAND": "scripts/chat"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("set a key (chatcli config login)", "set a key (scripts/chat config login)"),
        ('give one: chatcli "PROMPT"', 'give one: scripts/chat "PROMPT"'),
        (
            "chatcli -c, then /continue; chatcli --help",
            "scripts/chat -c, then /continue; scripts/chat --help",
        ),
        ("another chatcli is working in ~/chatcli local", "another chatcli is working in ~/chatcli local"),
        ("which chatcli does not know", "which chatcli does not know"),
        ("chatcli: ignored", "chatcli: ignored"),
    ],
)
def test_a_command_is_shown_as_it_was_typed_and_the_program_keeps_its_name(text, shown):
    assert with_own_command(text, CHECKOUT) == shown
    assert with_own_command(text, {}) == text


@pytest.mark.parametrize("command", [command.name for command in COMMANDS if not command.is_reserved])
def test_every_command_is_known(command):
    assert with_own_command(f"chatcli {command}", CHECKOUT) == f"scripts/chat {command}"


def test_a_path_is_quoted_for_the_shell_and_cannot_act_on_the_terminal():
    command = own_command({"_CHATCLI_COMMAND": "/my \x1b[2Jcode/scripts/chat"})
    assert command.startswith("'/my ")
    assert "\x1b" not in command
