"""The models of a comparison: which they are, and the connection to each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from chatcli.app.resolver import ModelResolver
from chatcli.app.run_context import is_embedded
from chatcli.core.errors import ChatcliError, UsageError
from chatcli.core.events import TurnFailed, TurnResult, TurnStarted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
    from contextlib import AsyncExitStack

    from chatcli.app.run_context import ChatOptions, Notify, RunContext
    from chatcli.chat import Conversation
    from chatcli.chat.comparison import Comparison
    from chatcli.chat.resolved_model import ResolvedModel
    from chatcli.config.settings import Settings
    from chatcli.core.events import Event
    from chatcli.cost.budget import Approve


class ComparedModel(NamedTuple):
    """A model to compare, and how it is asked: its connection, or why there is none. ``name`` is as the person gave it."""

    name: str
    resolved: ResolvedModel | None
    error: ChatcliError | None = None

    @property
    def model_name(self) -> str:
        return self.name if self.resolved is None else self.resolved.model_name

    def asked_in(self, comparison: Comparison) -> AsyncGenerator[Event]:
        """Return the events of the model's turn."""
        return self._failing() if self.resolved is None else comparison.ask(self.resolved)

    async def _failing(self) -> AsyncGenerator[Event]:
        yield TurnStarted(self.name)
        yield TurnFailed(TurnResult("", self.name, error=self.error))


def names_in(given: str) -> list[str]:
    """Return the names in a list with commas. Raise ``UsageError`` if there is none."""
    names = [name for each in given.split(",") if (name := each.strip())]
    if not names:
        raise UsageError(
            "no model to compare", hint="name models or profiles with commas between, such as gpt-5,work"
        )
    return names


class ModelsToCompare:
    """Finds each model: a name is a profile of config.toml, else a model at the endpoint in use.

    The embedded model is the only one at its endpoint: other names are refused there, never asked of another endpoint.

    ``settings_with`` returns the settings in force with changes. ``profiles`` are the names of all.
    """

    def __init__(
        self,
        settings_with: Callable[[Mapping[str, object]], Settings],
        options: ChatOptions,
        context: RunContext,
        *,
        profiles: Collection[str],
        notify: Notify,
        approve: Approve | None,
    ) -> None:
        self._settings_with = settings_with
        self._options = options
        self._context = context
        self._profiles = profiles
        self._notify = notify
        self._approve = approve

    async def in_use(self, settings: Settings, chat: Conversation, stack: AsyncExitStack) -> ComparedModel:
        """Connect to the model of ``settings``."""
        found = await self._resolved(settings, self._options, chat, stack, name=settings.model or "")
        return found if found.resolved is None else found._replace(name=found.resolved.model_name)

    async def named(
        self, names: Sequence[str], chat: Conversation, stack: AsyncExitStack
    ) -> list[ComparedModel]:
        """Connect to each of the models, one after the other: a program that prints a key may ask the person.

        Raise ``UsageError`` if a name is only a part of one.
        """
        asked = [(name, *self._asked(name)) for name in names]
        return [
            await self._resolved(settings, options, chat, stack, name=name)
            for name, settings, options in asked
        ]

    def _asked(self, name: str) -> tuple[Settings, ChatOptions]:
        if name in self._profiles:
            return self._settings_with({"profile": name}), replace(self._options, embedded=False)
        settings = self._settings_with({"model": name})
        if is_embedded(settings, self._options):
            from chatcli.app.embedded_endpoint import embedded_model  # noqa: PLC0415 - it is rarely the one

            model = embedded_model(settings, self._context)
            if name not in {model.name, model.model}:
                raise UsageError(
                    f"{name} is no profile, and the embedded model {model.name} is the only one at its endpoint",
                    hint="name profiles of config.toml, or a server with --base-url instead of --local",
                )
        return settings, self._options

    async def _resolved(
        self,
        settings: Settings,
        options: ChatOptions,
        chat: Conversation,
        stack: AsyncExitStack,
        *,
        name: str,
    ) -> ComparedModel:
        resolver = ModelResolver(settings, options, self._context, self._notify, stack, approve=self._approve)
        try:
            return ComparedModel(name, await resolver.resolve(chat))
        except UsageError:
            raise  # what is mistyped asks nobody
        except ChatcliError as error:
            return ComparedModel(name, None, error)
