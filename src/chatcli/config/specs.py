"""The table of settings: config.toml, variables, flags, ``config show`` and ``.env.example`` all follow it."""

from __future__ import annotations

from dataclasses import dataclass

from chatcli.config import parsers
from chatcli.config.credentials import parsed_key
from chatcli.core.context_strategies import CONTEXT_STRATEGIES, DEFAULT_CONTEXT_STRATEGY
from chatcli.core.long_ways import FAIL, WAYS_BY_NAME

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    ``name`` is its key in config.toml and ``CHATCLI_<NAME>`` its variable, followed by ``also_variables``, which
    ``parse_also`` reads where other programs say it in other words; ``flag`` is how the command line calls it.
    ``routes`` marks what decides which endpoint is called.
    ``merges`` marks a table whose keys add up over the sources instead of replacing each other, from an empty one.
    ``only_looks`` marks what has nothing to do with the model: a conversation goes on as it is when it changes.
    ``harmless`` marks what the ``.env`` of a working folder may set before the person trusts it.
    """

    name: str
    help: str
    parse: parsers.Parser
    default: object = None
    flag: str | None = None
    also_variables: tuple[str, ...] = ()
    parse_also: parsers.Parser | None = None
    file_only: bool = False
    in_profile: bool = True
    routes: bool = False
    merges: bool = False
    only_looks: bool = False
    harmless: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment's names for it, the first that is set counting."""
        return () if self.file_only else (f"CHATCLI_{self.name.upper()}", *self.also_variables)


SETTINGS: tuple[Setting, ...] = (
    Setting("model", "Model to use", parsers.name, flag="--model", harmless=True),
    Setting(
        "base_url",
        "URL of an OpenAI-compatible endpoint",
        parsers.url,
        flag="--base-url",
        also_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        routes=True,
    ),
    Setting(
        "api",
        "API to speak: chat or responses",
        parsers.choice("chat", "responses"),
        "chat",
        flag="--api",
        routes=True,
    ),
    Setting(
        "api_version",
        "Version of an Azure OpenAI API with deployments in its path",
        parsers.name,
        routes=True,
    ),
    Setting(
        "api_key",
        "Key, sent only to the base_url it is set beside (else to OpenAI)",
        parsed_key,
        also_variables=("OPENAI_API_KEY",),
    ),
    Setting(
        "api_key_env",
        "Name of the environment variable that holds the key",
        parsers.name,
        file_only=True,
    ),
    Setting("system", "System prompt", parsers.text, flag="--system"),
    Setting(
        "temperature",
        "Randomness of the answer, 0 to 2",
        parsers.number(0, 2),
        flag="--temperature",
        harmless=True,
    ),
    Setting(
        "top_p",
        "Share of likely tokens to choose from, 0 to 1",
        parsers.number(0, 1),
        flag="--top-p",
        harmless=True,
    ),
    Setting(
        "max_tokens", "Longest answer, in tokens", parsers.whole_number(1), flag="--max-tokens", harmless=True
    ),
    Setting(
        "seed",
        "Seed for repeatable answers, where the endpoint has it",
        parsers.whole_number(-(2**63), 2**63 - 1),
        flag="--seed",
        harmless=True,
    ),
    Setting(
        "reasoning",
        "Reasoning effort, in the endpoint's words: low, medium, high",
        parsers.name,
        flag="--reasoning",
        harmless=True,
    ),
    Setting(
        "thoughts_in_text",
        "Reasoning inside the answer text (think tags, channels): auto separates it, off leaves it in",
        parsers.choice("auto", "off"),
        "auto",
    ),
    Setting(
        "options",
        "Extra values for the request body",
        parsers.body_values,
        flag="-O",
        merges=True,
    ),
    Setting(
        "context",
        "What is kept of a conversation that outgrows the window: " + ", ".join(CONTEXT_STRATEGIES),
        parsers.choice(*CONTEXT_STRATEGIES),
        DEFAULT_CONTEXT_STRATEGY,
        flag="--context",
    ),
    Setting("summary_model", "Model that writes the summaries, for summarize", parsers.name),
    Setting(
        "embedding_model",
        "Embedding model that finds older turns by meaning, for recall",
        parsers.name,
    ),
    Setting(
        "long",
        f"What to do with a question too long for the window: {', '.join(WAYS_BY_NAME)}, or {FAIL} to refuse it",
        parsers.choice(*WAYS_BY_NAME, FAIL),
        FAIL,
        flag="--long",
    ),
    Setting(
        "long_concurrency",
        "Parts of a long text to process in parallel, 1 to 64",
        parsers.whole_number(1, 64),
        4,
    ),
    Setting("context_window", "Size of the model's window, in tokens", parsers.whole_number(64)),
    Setting(
        "timeout_s",
        "Longest wait for the first byte of an answer, in seconds",
        parsers.number(0.001, _DAY_S),
        600.0,
        "--timeout",
    ),
    Setting(
        "connect_timeout_s", "Longest wait for a connection, in seconds", parsers.number(0.001, _DAY_S), 10.0
    ),
    Setting(
        "idle_timeout_s",
        "Longest silence once an answer has begun, in seconds",
        parsers.number(0.001, _DAY_S),
        120.0,
    ),
    Setting(
        "largest_answer_mb",
        "Largest answer to take, in megabytes, 1 to 4,096; the rest is left out",
        parsers.whole_number(1, 4_096),
        64,
    ),
    Setting("ca_bundle", "File of additional certificates to trust", parsers.path, routes=True),
    Setting(
        "retries",
        "How often to retry after a failure, 0 to 20",
        parsers.whole_number(0, 20),
        4,
        flag="--retries",
    ),
    Setting(
        "retry_budget_s", "Longest time to spend on retries, in seconds", parsers.number(0, _DAY_S), 120.0
    ),
    Setting(
        "fallback",
        "Models or profiles to try when this one fails, in order",
        parsers.names,
        (),
    ),
    Setting(
        "auto_continue",
        "How often to continue an answer that was cut off, 0 to 20",
        parsers.whole_number(0, 20),
        0,
    ),
    Setting("requests_per_minute", "Most requests to send in a minute", parsers.whole_number(1)),
    Setting("tokens_per_minute", "Most tokens to send and ask for in a minute", parsers.whole_number(1)),
    Setting(
        "prices",
        'What models cost in US dollars per million tokens, as tables: [prices."gpt-5-mini"] input = 0.25',
        parsers.prices,
        file_only=True,
        merges=True,
    ),
    Setting("max_cost", "Most to spend in this run, in US dollars", parsers.amount_usd, flag="--max-cost"),
    Setting(
        "budget",
        "Most to spend in US dollars, as a table [budget]: session = 1.0, day = 5.0, month = 50.0",
        parsers.budget,
        file_only=True,
        in_profile=False,
        merges=True,
    ),
    Setting("stream", "Show the answer while it arrives", parsers.switch, True, flag="--no-stream"),
    Setting("save", "Keep conversations", parsers.switch, True, flag="--no-save"),
    Setting(
        "plain",
        "Plain lines without redrawing, for screen readers",
        parsers.switch,
        False,
        flag="--plain",
        also_variables=("ACCESSIBLE",),
        parse_also=parsers.any_but_zero,
    ),
    Setting(
        "theme",
        "Colours for a dark or a light background: dark, light, or auto, as the terminal reports",
        parsers.choice("auto", "dark", "light"),
        "auto",
        only_looks=True,
        harmless=True,
    ),
    Setting(
        "line_breaks",
        "Line breaks within a paragraph: keep, join, or auto, which joins lines that were wrapped by hand",
        parsers.choice("auto", "keep", "join"),
        "auto",
        only_looks=True,
    ),
    Setting("repl_prompt", "Prompt of the composer", parsers.prompt, "> "),
    Setting(
        "editing_mode",
        "Keys of the line editor: emacs or vi",
        parsers.choice("emacs", "vi"),
        "emacs",
        only_looks=True,
    ),
    Setting(
        "keys",
        'Key bindings, as a table [keys] of what /keys lists: send = "enter", [] for none',
        parsers.keys,
        file_only=True,
        in_profile=False,
        merges=True,
        only_looks=True,
    ),
    Setting(
        "show_reasoning",
        "Show the model's reasoning, instead of one line about it",
        parsers.switch,
        False,
        only_looks=True,
    ),
    Setting(
        "window_title", "Name the conversation in the window's title", parsers.switch, True, only_looks=True
    ),
    Setting(
        "notify",
        "How to notify you of a finished long answer: bell, desktop or off",
        parsers.choice("bell", "desktop", "off"),
        "bell",
        only_looks=True,
    ),
    Setting(
        "notify_after_s",
        "Shortest answer time to notify about, in seconds; 0 for never",
        parsers.number(0, _DAY_S),
        20.0,
        only_looks=True,
    ),
    Setting(
        "profile",
        "Table [profiles.NAME] of config.toml to use, or none",
        parsers.profile,
        flag="--profile",
        in_profile=False,
        routes=True,
    ),
)

SETTINGS_BY_NAME = {setting.name: setting for setting in SETTINGS}
SETTINGS_BY_VARIABLE = {variable: setting for setting in SETTINGS for variable in setting.variables}
PARSERS_BY_VARIABLE = {
    variable: setting.parse_also
    if setting.parse_also and variable in setting.also_variables
    else setting.parse
    for variable, setting in SETTINGS_BY_VARIABLE.items()
}
