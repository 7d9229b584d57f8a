"""The setup chat and the commands share: from options to settings."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.app.run_context import SINGLE, ChatOptions, RunContext
from chatcli.cli.option_groups import refuse_other_model
from chatcli.config.config_file import read_profiles
from chatcli.config.credentials import StoredKeys
from chatcli.config.endpoints import password_of
from chatcli.config.env_files import mention_once
from chatcli.config.key_commands import KeyCommands
from chatcli.config.paths import find_paths
from chatcli.config.resolve import resolve
from chatcli.config.settings import SETTINGS_BY_NAME
from chatcli.core.errors import ChatcliError
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings, TemplateSettings


NO_PLACE: Final = "no folder to keep it in"
"""The origin of ``save`` where saving was wanted but is impossible."""


def run_context(terminal: Terminal) -> RunContext:
    return RunContext(
        terminal.environment,
        find_paths(terminal.environment),
        _working_folder(),
        redactor=terminal.redactor,
        key_commands=KeyCommands(terminal.environment, reads_terminal=terminal.stdin_is_terminal),
    )


def chat_options(options: Namespace, *, priority: int = SINGLE) -> ChatOptions:
    return ChatOptions(
        session=options.session,
        resume_last=options.resume_last,
        embedded=options.embedded,
        insecure_http=options.insecure_http,
        count_exactly=options.dry_run or options.output == "jsonl",
        dry=options.dry_run,
        priority=priority,
        is_one_shot=priority == SINGLE,
        response_format=options.response_format,
    )


def settings_of(
    options: Namespace,
    context: RunContext,
    terminal: Terminal,
    *,
    template: TemplateSettings | None = None,
    changes: Mapping[str, object] | None = None,
    mentions_untrusted: bool = True,
) -> Settings:
    """Resolve the settings and print warnings about skipped values to stderr.

    ``template`` is what a prompt template sets, ``changes`` what was changed since the start. Settings of the
    folder's ``.env`` that are pending trust are mentioned once, unless the caller mentions them.
    """
    if getattr(options, "embedded", False):
        refuse_other_model(options)
    given = {name: value for name, value in vars(options).items() if name in SETTINGS_BY_NAME}
    if given.get("system") is not None:
        from chatcli.cli.questions import system_prompt  # noqa: PLC0415 - the prompt decodes no file

        given["system"] = system_prompt(
            given["system"], terminal, encoding=getattr(options, "encoding", None)
        )
    env_file = getattr(options, "env_file", None)
    folder = context.folder or Path("/nonexistent")
    settings = resolve(
        given,
        terminal.environment,
        context.paths,
        folder,
        Path(env_file) if env_file else None,
        template=template,
        changes=changes,
        key_commands=context.key_commands,
    )
    for credential in settings.every_credential:
        context.redactor.add_source(credential.secret.revealed)
    for server in (settings.cache, settings.limits):
        if "@" in server:
            context.redactor.add_key(password_of(server) or "")
    for warning in () if options.quiet else settings.warnings:
        terminal.warn(f"chatcli: {sanitize_line(warning)}")
    if settings.unreadable_keys is not None and not options.quiet:
        terminal.warn(f"chatcli: ignored the stored keys: {sanitize_line(settings.unreadable_keys.message)}")
    untrusted = settings.untrusted
    if (
        untrusted is not None
        and mentions_untrusted
        and not options.quiet
        and mention_once(untrusted, context.paths, remember=settings.save)
    ):
        terminal.warn(f"chatcli: {untrusted.notice}")
    return settings


def learn_keys(terminal: Terminal) -> None:
    """Let what is said hide every configured key that is known without a command or an unlocked keyring.

    For commands that need no settings: a configuration that cannot be read does not stop them.
    """
    context = run_context(terminal)
    with suppress(ChatcliError):
        for credential in StoredKeys(context.paths.config).credentials():
            terminal.redactor.add_source(credential.secret.revealed)
    profiles: tuple[str | None, ...] = (None,)
    with suppress(ChatcliError):
        profiles = (None, *read_profiles(context.paths))
    folder = context.folder or Path("/nonexistent")
    for profile in profiles:
        with suppress(ChatcliError):
            settings = resolve(
                {"profile": profile},
                terminal.environment,
                context.paths,
                folder,
                key_commands=context.key_commands,
            )
            for credential in settings.every_credential:
                terminal.redactor.add_source(credential.secret.revealed)


def _working_folder() -> Path | None:
    """Return the working folder, ``None`` if it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None
