"""What a request holds beside the conversation: parameters, instructions, and frames around text of others."""

from __future__ import annotations

import secrets
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.config.env_files import mention_once
from chatcli.config.instructions import FOLDER_FILE, folder_instructions, personal_instructions
from chatcli.config.settings import Untrusted
from chatcli.core.errors import ConfigurationError
from chatcli.core.events import Notice
from chatcli.core.request import Parameters
from chatcli.safety.screening import SCANNER, Screening
from chatcli.storage.private_files import close_to_others, read_regular, replace
from chatcli.text.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatcli.app.run_context import Notify, RunContext
    from chatcli.config.settings import Settings
    from chatcli.local.weights import Weights

_FILE_NAME: Final = "frame-secret"
_SECRET_BYTES: Final = 32
_MOST_BYTES: Final = 1_024


class RequestContents(NamedTuple):
    """``parameters``, and the ``instructions`` sent before the system prompt, empty for none."""

    parameters: Parameters
    instructions: str


class Guards(NamedTuple):
    """Frames around text of others, and the scan of what is sent and answered, ``None`` if it is turned off."""

    frames: Frames
    screen: Screening | None


def request_contents(
    settings: Settings, context: RunContext, notify: Notify, *, embedded: Weights | None
) -> RequestContents:
    """Return the parameters, and the instructions of the person and of a trusted working folder.

    ``embedded`` is the embedded model, if that is the one to ask: it has a temperature and a longest answer of its own.

    Raise ``ConfigurationError`` if the person's own instructions cannot be read.
    """
    temperature, max_tokens = settings.temperature, settings.max_tokens
    if embedded is not None:
        temperature = embedded.temperature if temperature is None else temperature
        max_tokens = embedded.max_tokens if max_tokens is None else max_tokens
    parameters = Parameters(
        temperature=temperature,
        top_p=settings.top_p,
        max_tokens=max_tokens,
        seed=settings.seed,
        reasoning=settings.reasoning,
        verbosity=settings.verbosity,
        web_search="" if settings.web_search == "off" else settings.web_search,
        extra=settings.options,
    )
    texts = []
    if context.has_configuration and (own := personal_instructions(context.paths)) is not None:
        texts.append(own.text)
    if context.has_configuration and settings.agents_md and context.folder is not None:
        texts += _folder_instructions(context.folder, settings, context, notify)
    return RequestContents(parameters, "\n\n".join(texts))


def guards_of(settings: Settings, context: RunContext, *, may_write: bool) -> Guards:
    """Return the guards of every request; ``may_write``: the secret of the frames may be made."""
    frames = frames_for(context.paths.data, is_saved=settings.save, may_write=may_write)
    if settings.injection == "off":
        return Guards(frames, None)
    blocks = settings.injection == "block"
    return Guards(frames, Screening(context.scanner or SCANNER, context.shared.screened, blocks, context.log))


def _folder_instructions(
    folder: Path, settings: Settings, context: RunContext, notify: Notify
) -> Iterator[str]:
    try:
        found, is_trusted = folder_instructions(folder, context.paths)
    except ConfigurationError as error:
        # Nobody named this file, so its errors must not stop anybody.
        notify(Notice("folder_instructions", f"chatcli: ignored: {error.clause}"))
        return
    if found is not None and is_trusted:
        yield f"Instructions of this folder ({FOLDER_FILE}):\n\n{found.text}"
    elif found is not None and mention_once(
        Untrusted(found.path, found.sha256, (FOLDER_FILE,)), context.paths, remember=settings.save
    ):
        notify(Notice("folder_instructions", f"chatcli: not used: {FOLDER_FILE} (use it: chatcli trust)"))


def frames_for(data: Path, *, is_saved: bool, may_write: bool = True) -> Frames:
    """Return the frames of this installation, whose secret is in the folder ``data``, and made on first need.

    What is not saved has frames of this process alone, as has everything while the secret can be neither read nor made.
    """
    return Frames(partial(_secret_in, data, may_write=may_write) if is_saved else _process_secret)


def _secret_in(data: Path, *, may_write: bool) -> bytes:
    path = data / _FILE_NAME
    with suppress(OSError):
        if (secret := _read(path)) is not None:
            return secret
        if may_write:
            replace(path, secrets.token_bytes(_SECRET_BYTES), durably=True)
            # Another process may have made one at the same moment: the last one stays.
            return _read(path) or _process_secret()
    return _process_secret()


def _read(path: Path) -> bytes | None:
    """Return the secret in ``path``, ``None`` if there is none or it is damaged; raise ``OSError`` if it cannot be read."""
    try:
        secret = read_regular(path, most_bytes=_MOST_BYTES)
    except FileNotFoundError:
        return None
    close_to_others(path)
    # A power cut may leave a file of its full length, filled with one byte that everybody can guess.
    return secret if len(secret) == _SECRET_BYTES and len(set(secret)) > 1 else None


@cache
def _process_secret() -> bytes:
    return secrets.token_bytes(_SECRET_BYTES)
