"""The setup chat and the commands share: from options to settings."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from functools import partial
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
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.event_log import DEBUG, ERROR, INFO, LEVELS
from chatcli.core.typed_paths import typed_path
from chatcli.text.sanitizer import sanitize_line

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from chatcli.cli.standard_streams import Terminal
    from chatcli.config.settings import Settings, TemplateSettings
    from chatcli.core.event_log import EventSink


NO_PLACE: Final = "no folder to keep it in"
"""The origin of ``save`` where saving was wanted but is impossible."""

LOG_NAME: Final = "chatcli.log"
HTTP_LOG_NAME: Final = "http.log"
"""The file in the data folder that ``--debug-http`` writes to where no other is named."""


def run_context(terminal: Terminal) -> RunContext:
    return RunContext(
        terminal.environment,
        find_paths(terminal.environment),
        _working_folder(),
        redactor=terminal.redactor,
        log=terminal.log,
        key_commands=KeyCommands(terminal.environment, reads_terminal=terminal.stdin_is_terminal),
    )


def opened_run_context(terminal: Terminal) -> AbstractContextManager[RunContext]:
    """Return the context for the actions of a command that need nothing else."""
    return nullcontext(run_context(terminal))


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
    warnings = list(settings.warnings)
    if settings.unreadable_keys is not None:
        warnings.append(f"ignored the stored keys: {settings.unreadable_keys.message}")
    for warning in () if options.quiet else warnings:
        if warning not in context.shared.told:
            context.shared.told.add(warning)
            terminal.warn(f"chatcli: {sanitize_line(warning)}")
    untrusted = settings.untrusted
    if (
        untrusted is not None
        and mentions_untrusted
        and not options.quiet
        and mention_once(untrusted, context.paths, remember=settings.save)
    ):
        terminal.warn(f"chatcli: {untrusted.notice}")
    _set_up_log(options, settings, context, terminal)
    return settings


def log_path(settings: Settings, context: RunContext, *, debugs_http: bool = False) -> Path:
    """Return the file that a run logs to."""
    if settings.log_file is not None:
        return typed_path(settings.log_file)
    return context.paths.data / (HTTP_LOG_NAME if debugs_http else LOG_NAME)


def _set_up_log(options: Namespace, settings: Settings, context: RunContext, terminal: Terminal) -> None:
    """Have the events of the run logged, as far as ``settings`` and ``options`` want them to be."""
    log, debugs_http = context.log, getattr(options, "debug_http", False)
    is_named = "log_file" in settings.asked_for
    if not settings.save and not is_named:
        if debugs_http:
            raise UsageError(
                "--debug-http writes the conversation to a file, and --no-save to none",
                hint="name one with --log-file, or leave one of the two out",
            )
        log.turn_off()
        return
    path = log_path(settings, context, debugs_http=debugs_http)
    is_new = log.place != str(path)
    log.write_to(
        str(path), partial(_open_log, path, context), least=_least(settings, debugs_http=debugs_http)
    )
    if debugs_http:
        from chatcli.client.wire_log import WireLog  # noqa: PLC0415 - as good as no run has it

        context.shared.pool.wire_log = WireLog(log)
    if options.quiet or not is_new or not (debugs_http or is_named):
        return
    if debugs_http:
        said = f"all that is sent and received, the conversation included, is written to {path}"
        terminal.warn(sanitize_line(f"warning: --debug-http: {said}"))
    if reason := _obstacle(path):
        terminal.warn(sanitize_line(f"chatcli: nothing is logged: {path} cannot be written: {reason}"))


def _least(settings: Settings, *, debugs_http: bool) -> int:
    if debugs_http:
        return DEBUG
    is_named = settings.log_file is not None and settings.origin("log_level") == "default"
    return INFO if is_named else LEVELS[settings.log_level]


def _open_log(path: Path, context: RunContext) -> EventSink:
    from chatcli.telemetry.log_file import open_log_file  # noqa: PLC0415 - most runs log nothing

    return open_log_file(path, context.redactor.redact)


def _obstacle(path: Path) -> str:
    """Return why ``path`` cannot be written, empty if it can; it is made for that."""
    from chatcli.telemetry.log_file import append_rotating  # noqa: PLC0415 - as above

    try:
        append_rotating(path, b"")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def log_bug(error: Exception, arguments: Sequence[str], terminal: Terminal) -> None:
    """Log an error that nobody expected; in the usual file if it came before there were settings."""
    from chatcli.telemetry.log_file import facts_of_bug  # noqa: PLC0415 - as above

    log = terminal.log
    if log.place is None and "--no-save" not in arguments:
        context = run_context(terminal)
        settings = resolve({}, terminal.environment, context.paths, context.folder or Path("/nonexistent"))
        path = log_path(settings, context)
        if settings.save:
            log.write_to(
                str(path), partial(_open_log, path, context), least=_least(settings, debugs_http=False)
            )
    log.note(ERROR, "bug", **facts_of_bug(error))


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
