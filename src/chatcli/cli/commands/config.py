"""``chatcli config``: the settings and their origins, and the stored keys."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from getpass import getpass
from typing import TYPE_CHECKING

from chatcli.cli.option_groups import add_model_options
from chatcli.cli.setup import run_context, settings_of
from chatcli.cli.typed_lines import agrees
from chatcli.client.endpoint import Endpoint
from chatcli.config.config_file import FILE_NAME, read_profiles
from chatcli.config.endpoints import OPENAI_URL, refuse_key_in_clear
from chatcli.config.report import instruction_rows, rows
from chatcli.config.sources import flag_source
from chatcli.core.errors import EndpointError, ExitCode, KeyRefused
from chatcli.login import (
    check_key,
    clean_key,
    forget_key,
    keep_key,
    key_in_front,
    set_keys_aside,
    use_endpoint,
)
from chatcli.render.text_columns import table
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from chatcli.app.run_context import RunContext
    from chatcli.cli.options import Parser
    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings
    from chatcli.core.errors import ConfigurationError

_LONGEST_LINE_BYTES = 64 * 1024


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "action",
        choices=["show", "profiles", "path", "login", "logout"],
        help="show all settings; list the profiles; print the path of config.toml; store a key (for --base-url, else OpenAI); remove it",
    )
    parser.add_argument("--json", action="store_true", help="show, profiles: as JSON")
    parser.add_argument(
        "--no-check", dest="check", action="store_false", help="login: store the key without checking it"
    )
    add_model_options(parser)


def run(options: Namespace, terminal: Terminal) -> ExitCode:
    context = run_context(terminal)
    match options.action:
        case "path":
            terminal.stdout.write(f"{context.paths.config / FILE_NAME}\n")
        case "show":
            _show(options, context, terminal)
        case "profiles":
            _list_profiles(options, context, terminal)
        case "login":
            _Login(options, context, terminal).run()
        case _:
            _logout(options, context, terminal)
    return ExitCode.DONE


def _show(options: Namespace, context: RunContext, terminal: Terminal) -> None:
    settings = settings_of(options, context, terminal, mentions_untrusted=False)
    shown = (
        *rows(settings, terminal.redactor.redact),
        *instruction_rows(settings, context.paths, context.folder),
    )
    if settings.untrusted is not None and not options.quiet:
        terminal.warn(f"chatcli: {settings.untrusted.notice}")
    if options.json:
        table = {row.name: {"value": row.value, "origin": row.origin} for row in shown}
        terminal.stdout.write(json.dumps(table, ensure_ascii=False, indent=2) + "\n")
        return
    name_width = max(len(row.name) for row in shown)
    for row in shown:
        terminal.stdout.write(
            f"{row.name:<{name_width}}  {sanitize_line(row.value)}  ({sanitize_line(row.origin)})\n"
        )


def _list_profiles(options: Namespace, context: RunContext, terminal: Terminal) -> None:
    in_force = settings_of(options, context, terminal).profile
    profiles, redact = read_profiles(context.paths), terminal.redactor.redact
    if options.json:
        listed = [
            {
                "name": profile.name,
                "model": redact(profile.model) or None,
                "base_url": redact(profile.base_url) or None,
                "system": redact(profile.system) or None,
                "in_force": profile.name == in_force,
            }
            for profile in profiles.values()
        ]
        terminal.stdout.write(json.dumps(listed, ensure_ascii=False, indent=2) + "\n")
        return
    if not profiles:
        terminal.warn(
            f"there are no profiles; a table [profiles.NAME] in {context.paths.config / FILE_NAME} makes one"
        )
        return
    rows = [
        (
            "→" if profile.name == in_force else "",
            profile.name,
            redact(profile.model),
            profile.host,
            redact(profile.system_beginning),
        )
        for profile in profiles.values()
    ]
    terminal.stdout.write(table(rows, terminal.listing_columns()) + "\n")


class _Login:
    def __init__(self, options: Namespace, context: RunContext, terminal: Terminal) -> None:
        self._options = options
        self._context = context
        self._terminal = terminal
        self._settings = _settings_without_flag(options, context, terminal)
        self._base_url = _base_url(options, self._settings)
        self._host = Endpoint(self._base_url).host

    def run(self) -> None:
        refuse_key_in_clear(self._base_url, accepted=self._options.insecure_http)
        if (unreadable := self._settings.unreadable_keys) is not None:
            self._set_keys_aside(unreadable)
        key = clean_key(_read_key(self._host, self._terminal))
        if self._options.check:
            self._check(key)
        where = keep_key(self._base_url, key, self._context)
        self._say(f"the key for {self._host} is kept in {where}")
        self._report_what_is_used()

    def _set_keys_aside(self, unreadable: ConfigurationError) -> None:
        if not self._terminal.is_attended:
            raise unreadable
        if self._options.quiet:
            self._terminal.warn(sanitize_line(unreadable.message))
        if not agrees("Replace this file? The old one is kept next to it.", self._terminal):
            raise unreadable
        self._say(f"the old file is now {set_keys_aside(self._context)}")

    def _check(self, key: str) -> None:
        asking = check_key(
            self._base_url,
            key,
            self._settings,
            self._context,
            insecure_http=self._options.insecure_http,
        )
        try:
            checked = asyncio.run(asking)
        except KeyRefused:
            raise
        except EndpointError:
            self._terminal.warn(
                "the key could not be checked and was not stored; --no-check stores it anyway"
            )
            raise
        self._base_url = checked.base_url
        if checked.proven:
            self._say(f"{self._host} accepts the key")
        else:
            self._say(f"{self._host} has no model list to check the key against")

    def _report_what_is_used(self) -> None:
        if winner := key_in_front(self._base_url, self._settings):
            self._say(f"but the key from {winner} takes precedence")
        configured = self._settings.base_url
        if configured is None and self._base_url != OPENAI_URL:
            use_endpoint(self._base_url, self._context)
            self._say(f"{self._base_url} is now the default endpoint")
        elif configured not in {None, self._base_url}:
            self._say(f"to use it: chatcli --base-url {self._base_url}")

    def _say(self, text: str) -> None:
        if not self._options.quiet:
            self._terminal.warn(sanitize_line(text))


def _logout(options: Namespace, context: RunContext, terminal: Terminal) -> None:
    settings = _settings_without_flag(options, context, terminal)
    base_url = _base_url(options, settings)
    host = Endpoint(base_url).host
    removed = forget_key(base_url, context)
    terminal.warn(f"removed the key for {host}" if removed else f"no key is stored for {host}")
    if left := key_in_front(base_url, settings):
        terminal.warn(f"the key from {sanitize_line(left)} is still used")


def _settings_without_flag(options: Namespace, context: RunContext, terminal: Terminal) -> Settings:
    """Return the settings without ``--base-url``, which here names the endpoint of the key."""
    return settings_of(Namespace(**{**vars(options), "base_url": None}), context, terminal)


def _base_url(options: Namespace, settings: Settings) -> str:
    given = flag_source({"base_url": options.base_url}).found
    if "base_url" in given:
        return str(given["base_url"].value)
    return (settings.base_url if options.profile else None) or OPENAI_URL


def _read_key(host: str, terminal: Terminal) -> str:
    """Read a key: from a terminal without echo, else from the first line of the pipe."""
    if terminal.stdin_is_terminal:
        try:
            return getpass(f"Key for {host} (it is not shown): ")
        except EOFError:
            return ""
    line = terminal.stdin.readline(_LONGEST_LINE_BYTES) if terminal.stdin else b""
    return line.decode("utf-8", "replace")
