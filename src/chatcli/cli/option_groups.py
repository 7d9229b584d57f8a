"""Groups of options that commands share: which model, the parameters of a request, what it may cost."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import UsageError
from chatcli.core.strategy_table import CONTEXT_STRATEGIES, FAIL, LONG_INPUT_STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOCAL: Final = "--local"
_NO_NAME: Final = "\0"
"""Stands behind a ``--local`` without a name: no argument can hold it."""


class _LocalModel(argparse.Action):
    """``--local``, with or without a name; see ``join_local_names``."""

    def __call__(
        self, _parser: object, namespace: argparse.Namespace, values: object, _option: str | None = None
    ) -> None:
        from chatcli.config.parsers import NO_LOCAL_MODEL  # noqa: PLC0415 - --help needs no settings

        if values == "":
            raise UsageError(
                f"{LOCAL}= names no model",
                hint=f"chatcli local models lists them; {LOCAL} alone is the default",
            )
        namespace.local = None if values in {None, _NO_NAME} else values
        namespace.embedded = values != NO_LOCAL_MODEL


def join_local_names(
    arguments: Sequence[str], is_model: Callable[[str], bool] = lambda _: False
) -> list[str]:
    """Join ``--local`` with the next argument if that names an embedded model, else with nothing.

    So ``--local "Say hello"`` stays a question: argparse would take any word for the name.
    """
    joined: list[str] = []
    is_open = False
    for at, argument in enumerate(arguments):
        if argument == "--":
            return [*joined, *arguments[at:]]
        if is_open and is_model(argument):
            joined[-1] = f"{LOCAL}={argument}"
            is_open = False
            continue
        is_open = argument == LOCAL and joined[-1:] != ["--prompt"]
        joined.append(f"{LOCAL}={_NO_NAME}" if is_open else argument)
    return joined


def refuse_other_model(options: argparse.Namespace) -> None:
    """Raise ``UsageError`` for another model or endpoint beside ``--local``."""
    for flag, value in (("-m", options.model), ("--base-url", options.base_url)):
        if value is not None:
            raise UsageError(
                f"--local and {flag} cannot be combined",
                hint=f"leave out one of them; an embedded model is named as in {LOCAL}=NAME",
            )


def add_model_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add which model is asked, and return the group."""
    group = parser.add_argument_group("which model")
    group.add_argument("-m", "--model", metavar="NAME", help="the model to ask")
    group.add_argument("-p", "--profile", metavar="NAME", help="a [profiles.NAME] of config.toml")
    group.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible endpoint")
    group.add_argument("--api", metavar="chat|responses", help="the API it speaks")
    group.add_argument(
        LOCAL,
        action=_LocalModel,
        nargs="?",
        metavar="NAME",
        help="an embedded model: chatcli local models; or a GGUF file",
    )
    group.set_defaults(embedded=False)
    group.add_argument("--insecure-http", action="store_true", help="allow a key over plain http")
    group.add_argument(
        "--timeout", dest="timeout_s", metavar="S", help="longest wait for the server, in seconds"
    )
    group.add_argument("--retries", metavar="N", help="how often to retry after a failure")
    group.add_argument("--env-file", metavar="PATH", help="read settings from this file")
    _add_log_options(parser)
    return group


def _add_log_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is logged")
    group.add_argument("--log-file", metavar="FILE", help="log calls, attempts and waits to this file")
    group.add_argument(
        "--log-level", metavar="LEVEL", help="off, error, warning, info or debug: how much is logged"
    )
    group.add_argument(
        "--debug-http",
        action="store_true",
        help="log all that is sent and received, without keys but with the conversation",
    )


def add_system_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-S", "--system", metavar="TEXT|@FILE", help="the system prompt")


def add_template_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-T",
        "--template",
        dest="templates",
        metavar="NAME|PATH",
        action="append",
        help="use a prompt template; several are combined",
    )
    group.add_argument(
        "--var", dest="variables", metavar="NAME=VALUE", action="append", help="fill in one of its variables"
    )


def add_parameter_options(parser: argparse.ArgumentParser) -> None:
    """Add the parameters of a conversation, with what is done when its text grows too long."""
    group = parser.add_argument_group("parameters")
    add_sampling_options(group)
    group.add_argument(
        "--long",
        metavar="HOW",
        help=f"how to handle a text that is too long: {', '.join([*LONG_INPUT_STRATEGIES, FAIL])}",
    )
    add_spending_options(group)
    group.add_argument(
        "--context",
        metavar="NAME",
        help="what is kept when it outgrows the window: " + ", ".join(CONTEXT_STRATEGIES),
    )


def add_sampling_options(group: argparse._ArgumentGroup) -> None:
    """Add the parameters that a single request has."""
    group.add_argument("-t", "--temperature", metavar="X", help="0 = most predictable, 2 = most random")
    group.add_argument("--top-p", metavar="X", help="share of likely tokens to choose from")
    group.add_argument("--max-tokens", metavar="N", help="longest answer")
    group.add_argument("--seed", metavar="N", help="for repeatable answers")
    group.add_argument("--reasoning", metavar="EFFORT", help="low, medium, high: whatever the model accepts")
    group.add_argument(
        "--verbosity",
        metavar="LEVEL",
        help="low, medium, high: how long answers are, where the model takes it",
    )
    group.add_argument(
        "--web-search",
        action="store_const",
        const="on",
        help="have the provider search the web, and list the sources",
    )
    group.add_argument(
        "--no-web-search", dest="web_search", action="store_const", const="off", help="ask without searching"
    )
    group.add_argument(
        "-O",
        dest="options",
        metavar="KEY=VALUE",
        action="append",
        help="any other field of the request, as JSON",
    )


def add_spending_options(group: argparse._ArgumentGroup) -> None:
    """Add the cache of answers and the cap on costs."""
    group.add_argument(
        "--cache",
        action="store_const",
        const="on",
        help="answer equal questions from the cache: sqlite, or the one in config.toml",
    )
    group.add_argument(
        "--no-cache", dest="cache", action="store_const", const="off", help="ask anew, and cache nothing"
    )
    group.add_argument("--max-cost", metavar="USD", help="most this run may cost")


def add_schema_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--schema",
        metavar="FIELDS|FILE|NAME",
        help="answer in JSON that fits: 'name, age int', a JSON Schema, or one of your schemas",
    )
    group.add_argument(
        "--schema-multi", metavar="FIELDS|FILE|NAME", help='the same for a list: {"items": [...]}'
    )
