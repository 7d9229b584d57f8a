"""Checks of this machine: versions, terminal, folders, sessions, configuration, the embedded model."""

from __future__ import annotations

import asyncio
import codecs
import os
import platform
import shutil
import ssl
import stat
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chatcli.app.embedded_endpoint import embedded_model
from chatcli.app.resolver import endpoint_at
from chatcli.app.run_context import DEFAULT_MODEL
from chatcli.config.endpoints import is_loopback, refuse_key_in_clear
from chatcli.config.instructions import FOLDER_FILE, PERSONAL_FILE, folder_instructions, personal_instructions
from chatcli.config.paths import obstacle
from chatcli.conversation.counting import likely_tokens
from chatcli.core.errors import ChatcliError, ConfigurationError
from chatcli.core.version import __version__
from chatcli.cost.ledger import FILE_NAME as LEDGER
from chatcli.cost.ledger import Ledger, unreadable_lines
from chatcli.doctor.examination import of_error, ok, problem, warning
from chatcli.local.engine import ENGINE, ENGINE_REQUIREMENT, engine_state, machine_memory_bytes
from chatcli.local.weights import SMOLLM2, status
from chatcli.sessions.folder import SUFFIX
from chatcli.sessions.reading import HEADER_SEARCH_BYTES, find_header
from chatcli.sessions.store import SessionStore
from chatcli.storage.private_files import check_regular, open_regular
from chatcli.text.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from chatcli.client.endpoint import Endpoint
    from chatcli.config.instructions import Instructions
    from chatcli.config.settings import Settings
    from chatcli.doctor.examination import Examination, Finding, TerminalFacts


_LIBRARIES = (
    "openai",
    "httpx2",
    "tiktoken",
    "rich",
    "prompt_toolkit",
    "keyring",
    "jsonschema",
    "socksio",
    "truststore",
    "xllamacpp",
)


async def check_versions(_examination: Examination) -> Iterable[Finding]:
    python = f"Python {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = ((name, _version(name)) for name in _LIBRARIES)
    libraries = ", ".join(f"{name} {number}" for name, number in found if number)
    return (
        ok("versions", f"chatcli {__version__}, {python}, {system}"),
        ok("versions", f"{libraries}, {ssl.OPENSSL_VERSION}"),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


_TERMINAL = "terminal"


async def check_terminal(examination: Examination) -> Iterable[Finding]:
    facts = examination.terminal
    findings = [ok(_TERMINAL, f"{_kind(facts)}, {_colors(facts)}, {facts.encoding}, {facts.columns} columns")]
    if facts.stdout_is_terminal and facts.term == "dumb":
        findings.append(warning(_TERMINAL, "TERM=dumb: plain lines without redrawing"))
    if not _is_utf_8(facts.encoding):
        findings.append(
            warning(
                _TERMINAL,
                f"the locale's encoding is {facts.encoding}, and chatcli writes UTF-8",
                "set LANG to one that ends in UTF-8, like C.UTF-8, and the terminal to the same",
            )
        )
    return findings


def _kind(facts: TerminalFacts) -> str:
    if facts.stdout_is_terminal and facts.stdin_is_terminal:
        return f"a terminal ({facts.term or 'TERM is not set'})"
    if facts.stdout_is_terminal:
        return f"output to a terminal ({facts.term or 'TERM is not set'}), input from elsewhere"
    return "output to a pipe or a file"


def _colors(facts: TerminalFacts) -> str:
    names = {"standard": "16 colours", "256": "256 colours", "truecolor": "all colours"}
    return names.get(facts.colors or "", "no colours")


def _is_utf_8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        return False


_FOLDERS = "folders"
_LITTLE_BYTES = 100_000_000
_FOR_OTHERS = 0o077
_HAS_MODES = os.name == "posix"
_FILES = ("keys.json", "trusted-folders.json", "config.toml", "last", "input-history.jsonl", LEDGER)
_PRIVATE_FILES = (*_FILES, "sessions/*.jsonl")
_SHOWN = 5


async def check_folders(examination: Examination) -> Iterable[Finding]:
    paths = examination.context.paths
    named = {"config": paths.config, "data": paths.data, "cache": paths.cache}
    findings = [_folder(what, folder) for what, folder in named.items()]
    for folder in (paths.config, paths.data):
        findings += [*_misplaced_files(folder), *_open_files(folder)]
    return [*findings, *_ledger(paths.data / LEDGER)]


def _folder(what: str, folder: Path) -> Finding:
    try:
        return _existing_folder(what, folder) if folder.exists() else _missing_folder(what, folder)
    except OSError as error:
        return problem(
            _FOLDERS, f"{what} {folder}: {error.strerror or error}", "check the permissions of this folder"
        )


def _existing_folder(what: str, folder: Path) -> Finding:
    shown = f"{what} {folder}"
    if not folder.is_dir():
        return problem(_FOLDERS, f"{shown}: a file is in its place", "move the file away")
    if not os.access(folder, os.W_OK | os.X_OK):
        return problem(_FOLDERS, f"{shown} cannot be written", f"chmod u+rwx {folder}")
    mode = stat.S_IMODE(folder.stat().st_mode)
    if _HAS_MODES and mode & _FOR_OTHERS:
        return warning(_FOLDERS, f"{shown} is open to others (mode {mode:04o})", f"chmod 700 {folder}")
    rights = f"mode {mode:04o}, " if _HAS_MODES else ""
    return _with_space(folder, f"{shown} ({rights}", ")")


def _missing_folder(what: str, folder: Path) -> Finding:
    if (reason := obstacle(folder)) is not None:
        return problem(
            _FOLDERS,
            f"{what} {folder} does not exist and cannot be created: {reason}",
            f"fix that, or name another folder with CHATCLI_{what.upper()}_DIR",
        )
    above = next(level for level in folder.parents if level.exists())
    return _with_space(above, f"{what} {folder} (created when needed, ", ")")


def _with_space(place: Path, before: str, after: str) -> Finding:
    free_bytes = shutil.disk_usage(place).free
    text = f"{before}{free_bytes / 1e9:.1f} GB free{after}"
    if free_bytes < _LITTLE_BYTES:
        return warning(_FOLDERS, text, "free some space: conversations are saved here")
    return ok(_FOLDERS, text)


def _misplaced_files(folder: Path) -> Iterable[Finding]:
    for path in (folder / name for name in _FILES):
        try:
            check_regular(path.stat())
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            yield problem(_FOLDERS, f"{path} cannot be used: {error.strerror or error}", f"move {path} away")


def _ledger(path: Path) -> Iterable[Finding]:
    ledger = Ledger(path)
    try:
        ledger.month()
    except OSError:
        return  # reported with the files that are no sessions
    if count := ledger.unreadable_lines:
        yield warning(
            _FOLDERS, unreadable_lines(path, count), f"remove these lines, or move {path} away to start over"
        )


def _open_files(folder: Path) -> Iterable[Finding]:
    if not _HAS_MODES:
        return
    files = [path for pattern in _PRIVATE_FILES for path in sorted(folder.glob(pattern)) if _is_open(path)]
    for path in files[:_SHOWN]:
        yield warning(_FOLDERS, f"{path} can be read by others", f"chmod 600 {path}")
    if len(files) > _SHOWN:
        yield warning(_FOLDERS, f"{len(files) - _SHOWN} more files in {folder} can be read by others")


def _is_open(path: Path) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _FOR_OTHERS)
    except OSError:
        return False


_SESSIONS = "sessions"


async def check_sessions(examination: Examination) -> Iterable[Finding]:
    return await asyncio.to_thread(_look_at_sessions, examination.context.paths.data)


def _look_at_sessions(data: Path) -> list[Finding]:
    paths = sorted((data / "sessions").glob(f"*{SUFFIX}"))
    if not paths:
        return [ok(_SESSIONS, "none are saved yet")]
    damaged = [(path, reason) for path in paths if (reason := _damage_of(path)) is not None]
    findings = [
        problem(_SESSIONS, reason, f"check {path.name}, and move it away if it is not yours")
        for path, reason in damaged[:_SHOWN]
    ]
    if len(damaged) > _SHOWN:
        findings.append(problem(_SESSIONS, f"{len(damaged) - _SHOWN} more cannot be read"))
    if len(damaged) == len(paths):
        return findings
    return [
        ok(_SESSIONS, f"{len(paths) - len(damaged)} of {len(paths)} readable"),
        *findings,
        *_last_session(data, {path for path, _ in damaged}),
    ]


def _damage_of(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            find_header(file.read(HEADER_SEARCH_BYTES), path)
    except ConfigurationError as error:
        return error.message
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    return None


def _last_session(data: Path, reported: set[Path]) -> Iterable[Finding]:
    """Load the whole last session, as ``-c`` does, unless it was among the ``reported``."""
    store = SessionStore(data)
    file = store.last_used()
    if file is None or file.path in reported:
        return
    try:
        turns = len(store.load(file).questions)
    except ConfigurationError as error:
        yield problem(_SESSIONS, error.message, error.hint)
    else:
        yield ok(_SESSIONS, f"the last one, {file.name}, has {counted(turns, 'question')}")


_CONFIG = "config"
_SHOWN_WHEN_SET = ("profile", "api_version", "ca_bundle")


async def check_configuration(examination: Examination) -> Iterable[Finding]:
    settings, base_url = examination.settings, examination.base_url
    if settings is None:
        error = examination.error
        return [of_error(_CONFIG, error) if error else problem(_CONFIG, "the settings cannot be read")]
    findings = [warning(_CONFIG, line) for line in settings.warnings]
    if settings.unreadable_keys is not None:
        findings.append(of_error(_CONFIG, settings.unreadable_keys))
    if settings.untrusted is not None:
        findings.append(warning(_CONFIG, settings.untrusted.notice))
    findings += _servers_in_clear(settings)
    if base_url is None and settings.unreadable_keys is not None:
        return findings
    if settings.local is not None and base_url is None:
        return [*findings, ok(_CONFIG, f"embedded model {settings.local} ({settings.origin('local')})")]
    if base_url is None:
        return [*findings, ok(_CONFIG, "no endpoint is configured; the built-in model is used")]
    findings.append(ok(_CONFIG, f"endpoint {base_url} ({settings.origin('base_url')})"))
    findings += _set(settings)
    try:
        examination.endpoint = await _endpoint(examination, settings, base_url)
    except ChatcliError as error:
        return [*findings, of_error(_CONFIG, error)]
    return [*findings, _model(examination, settings), _key(examination, settings)]


def _set(settings: Settings) -> Iterator[Finding]:
    for name in _SHOWN_WHEN_SET:
        if (value := getattr(settings, name)) is not None:
            yield ok(_CONFIG, f"{name} {value} ({settings.origin(name)})")


def _servers_in_clear(settings: Settings) -> Iterator[Finding]:
    """Report Redis servers of other machines that get answers or a password over an unencrypted connection."""
    for name, carried in (("cache", "cached answers travel"), ("limits", "its password travels")):
        parts = urlsplit(getattr(settings, name))
        server = parts.netloc.rpartition("@")[2]
        is_private = name == "cache" or parts.password is not None
        if parts.scheme == "redis" and is_private and not is_loopback(f"http://{server}"):
            yield warning(
                _CONFIG,
                f"{name} redis://{server}: {carried} unencrypted",
                "use rediss://, or a network you trust",
            )


async def _endpoint(examination: Examination, settings: Settings, base_url: str) -> Endpoint:
    credential = settings.credential
    if credential is not None:
        refuse_key_in_clear(base_url, accepted=examination.insecure_http)
    return endpoint_at(
        base_url,
        settings,
        examination.context,
        key=None if credential is None else await examination.context.key(credential),
        withheld=tuple(dict.fromkeys(credential.name for credential in settings.withheld)),
    )


def _model(examination: Examination, settings: Settings) -> Finding:
    if settings.model is not None:
        return ok(_CONFIG, f"model {settings.model} ({settings.shown_origin('model')})")
    if examination.endpoint is not None and examination.endpoint.is_openai:
        return ok(_CONFIG, f"model {DEFAULT_MODEL} (default)")
    return ok(_CONFIG, "no model is set; the first one offered is used")


def _key(examination: Examination, settings: Settings) -> Finding:
    if settings.credential is not None:
        return ok(_CONFIG, f"a key is set ({settings.credential.source})")
    withheld = "; ".join(dict.fromkeys(credential.withheld_notice for credential in settings.withheld))
    if examination.endpoint is not None and examination.endpoint.is_openai:
        return problem(
            _CONFIG, f"no key is set{withheld and f'; {withheld}'}", "chatcli config login stores one"
        )
    return ok(_CONFIG, f"no key is set{withheld and f'; {withheld}'}")


_INSTRUCTIONS = "standing"
_WRITABLE_FOR_OTHERS = 0o022


async def check_instructions(examination: Examination) -> Iterable[Finding]:
    context, settings = examination.context, examination.settings
    path = context.paths.config / PERSONAL_FILE
    findings = [*_instructions(path, lambda: personal_instructions(context.paths))]
    if settings is None or context.folder is None:
        return findings
    of_folder = context.folder / FOLDER_FILE
    if not settings.agents_md:
        unread = (
            [ok(_INSTRUCTIONS, f"{of_folder} is not read: agents_md is off")] if of_folder.exists() else []
        )
        return [*findings, *unread]
    found, is_trusted = folder_instructions(context.folder, context.paths)
    if found is not None and not is_trusted:
        return [
            *findings,
            warning(_INSTRUCTIONS, f"{of_folder} is not used: it is not trusted", "chatcli trust"),
        ]
    return [*findings, *_instructions(of_folder, lambda: found)]


def _instructions(path: Path, read: Callable[[], Instructions | None]) -> Iterator[Finding]:
    """Yield whether the instructions in ``path`` are sent, and who else can change them."""
    try:
        found = read()
    except ConfigurationError as error:
        yield of_error(_INSTRUCTIONS, error)
        return
    if found is None:
        yield ok(
            _INSTRUCTIONS,
            f"{path} is empty, nothing is sent" if path.exists() else f"none: {path} would be read",
        )
        return
    length = f"{path.stat().st_size:,} bytes, about {counted(likely_tokens(found.text), 'token')}"
    yield ok(_INSTRUCTIONS, f"{path} is sent with every question: {length}")
    if _HAS_MODES and path.stat().st_mode & _WRITABLE_FOR_OTHERS:
        yield warning(_INSTRUCTIONS, f"{path} can be changed by others", f"chmod go-w {path}")


_EMBEDDED = "embedded"
_OTHER_MODELS = "chatcli config login keeps a key, --base-url names a server"


async def check_embedded_model(examination: Examination) -> Iterable[Finding]:
    settings, folder = examination.settings, examination.context.paths.local
    model = SMOLLM2 if settings is None else embedded_model(settings, examination.context)
    engine, weights = engine_state(), status(folder, model)
    findings = []
    if engine.installed:
        findings.append(ok(_EMBEDDED, f"engine {ENGINE} {engine.version or ''}".rstrip()))
    else:
        findings.append(
            problem(
                _EMBEDDED,
                "the engine is not installed",
                f"pip install '{ENGINE_REQUIREMENT}'; else {_OTHER_MODELS}",
            )
        )
    if weights.ready:
        findings.append(ok(_EMBEDDED, f"weights {model.title} in {weights.path}"))
    else:
        missing = "unfinished" if weights.present else "not here"
        of_model = "" if model is SMOLLM2 else f" of {model.name}"
        findings.append(
            problem(
                _EMBEDDED,
                f"the weights{of_model} are {missing}",
                f"{model.setup_command}; else {_OTHER_MODELS}",
            )
        )
    machine_bytes = machine_memory_bytes()
    if machine_bytes is not None and machine_bytes < model.memory_bytes:
        needed, there = (f"{size_bytes / 1e9:.1f} GB" for size_bytes in (model.memory_bytes, machine_bytes))
        findings.append(
            warning(
                _EMBEDDED,
                f"{model.name} needs {needed} of memory, and this machine has {there}",
                "choose a smaller one: chatcli local models",
            )
        )
    return findings
