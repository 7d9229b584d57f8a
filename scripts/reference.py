"""Generate ``docs/reference`` from the program's own tables.

usage: python scripts/reference.py [--check]
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from checkout import writing
from man_page import man_page

from chatcli.cli.commands import COMMANDS, summary
from chatcli.cli.options import main_parser
from chatcli.config.key_bindings import KEY_ACTIONS, shown_keys
from chatcli.config.settings import SETTINGS
from chatcli.core.errors import ExitCode
from chatcli.repl.commands import COMMAND_GROUPS

if TYPE_CHECKING:
    from chatcli.repl.commands.command import Command as SlashCommand

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
MADE = "<!-- Made by scripts/reference.py from the program's own tables. -->"

EXIT_CODES = {
    ExitCode.DONE: "done",
    ExitCode.BUG: "a bug in chatcli, or a damaged installation",
    ExitCode.USAGE: "wrong usage, a file of `-f` or `-S` that cannot be read, or an input refused as too long",
    ExitCode.CONFIGURATION: "configuration: no key, a bad file",
    ExitCode.KEY_REFUSED: "the key was refused (401)",
    ExitCode.PROVIDER_REFUSED: "the provider refused the request (400, 403, 404, 413, 422, quota, context)",
    ExitCode.NETWORK: "network, time-out, 429 or 5xx after retries",
    ExitCode.INCOMPLETE: "an incomplete answer: cut off, filtered, refused, a tool call that nobody answers, or `length` without a limit of "
    "yours; the partial answer is on stdout",
    ExitCode.LOCAL_IO: "a local file could not be read or written",
    ExitCode.BUDGET: "a budget is used up: nothing was sent, or the answer was cut there and is kept",
    ExitCode.NOTHING_TO_EXTRACT: "`-x` found no code block, or the answer does not fit the schema; the whole answer is printed",
    ExitCode.ALERT: "an alert fires (`chatcli alerts check`)",
    ExitCode.BATCH_ROWS_FAILED: "`chatcli batch`: some rows failed",
    ExitCode.DOCTOR: "`chatcli doctor` found a problem",
    ExitCode.HANG_UP: "hang-up",
    ExitCode.INTERRUPTED: "Ctrl-C; the partial answer is kept",
    ExitCode.CLOSED_PIPE: "the reader of the output closed the pipe",
    ExitCode.TERMINATED: "terminated; the partial answer is kept",
}

FORMATS = """\
## Output formats

`-o text` is the answer exactly as received, plus a newline if it ends without one. `-o markdown` is the rendered answer,
block by block, in colour on a terminal or with `FORCE_COLOR`. In both, control characters are made visible, in a pipe
too, because a pipe often ends on a terminal. `--raw` and the JSON formats keep every character.

`-o json` is one object, also if the turn failed or was cut off, or if a wrong option or setting kept it from beginning:

```json
{"text": "…", "model": "…", "finish_reason": "stop",
 "usage": {"input_tokens": 27, "output_tokens": 8, "cached_tokens": 0, "reasoning_tokens": null, "estimated": false},
 "cost_usd": null, "latency_s": 0.412, "ttft_s": 0.301, "session": "2026-11-23-2105-a1b2", "cached": false,
 "attempts": 1, "error": null, "refusal": null, "tool_calls": [], "sources": [], "notices": [], "data": null}
```

`error` is `{"code", "message", "hint", "status", "request_id", "call_id"}`; then `text` is the partial answer, and `chatcli
logs --request` finds the call of a `call_id`. `cost_usd` is `null` if the price is unknown. Where an endpoint reports them, `usage` also has `cache_write_tokens`, put into its cache of prompts, and
`searches` of the web. These keys are always present:

- `refusal`: the model's refusal, or `null`. `text` is what it wrote before that.
- `tool_calls`: the tools the model tried to call, `[{"id", "name", "arguments"}]`. chatcli does not run them. `arguments`
  is a string of JSON: `jq '.tool_calls[0].arguments | fromjson'`.
- `sources`: what the answer cites, `[{"n", "title", "url"}]`. A file has `path` instead of `url`. If the answer numbers
  its sources, `n` is that number.
- `notices`: what went on beside the answer, `[{"code", "message"}]`, also with `-q`: `injection` for an attached text that seems to
  give the model orders, `outgoing_link` for a link in the answer that repeats your text. Other codes: a context window that is
  assumed, a file that could not be written.
- `data`: the value of an answer that fits its `--schema`, else `null`. See [Structured output](../guides/structured-output.md).
- `compared`, only with `--compare`: the objects of all models in the order named. See [Comparing models](../guides/comparing.md).

`-o jsonl` is one event per line. Ignore types and keys you do not know:

| `type` | keys |
|---|---|
| `turn_started` | `model`, `session` |
| `context_fitted` | `sent_tokens`, `budget_tokens`, `dropped_turns`, `estimated` |
| `waiting` | `elapsed_s`, `reason`, `is_held` (by a limit: not sent yet) |
| `retrying` | `attempt`, `wait_s`, `reason` |
| `long_progress` | `done`, `total`, `tokens`, `cost_usd`, `left_s`: progress on a long text, in requests; `total` may change |
| `notice` | `code`, `message` |
| `reasoning_delta`, `text_delta` | `text`: one or more chunks of the reasoning or the answer |
| `text_reclassified` | `text`: the end of the answer so far. It is no longer part of the answer: `is_reasoning`, or else an answer that does not fit its schema |
| `partial_data` | `data`: the value of a structured answer as far as it came. Its last text may be cut, and keys may be missing. It comes when the answer has grown by an eighth |
| `turn_finished`, `turn_failed` or `turn_cancelled`, exactly one, at the end | the keys of the `-o json` object |

## Input

Piped text alone is the prompt. Next to a prompt it is attached, like the files of `-f`. Text that is not UTF-8 is
[read in the encoding it is most likely in](../guides/input.md#encodings); binary data is refused. If a pipe sends nothing
for two seconds, stderr says so; `</dev/null` avoids the wait.
"""


def command_line() -> str:
    # argparse wraps to the width of the terminal; the page must not depend on it.
    os.environ["COLUMNS"] = "100"
    settings = "\n".join(
        f"| `{setting.name}` | {', '.join(f'`{name}`' for name in setting.variables) or '–'} "
        f"| {f'`{setting.flag}`' if setting.flag else '–'} | {setting.help} |"
        for setting in SETTINGS
    )
    codes = "\n".join(f"| {code.value} | {EXIT_CODES[code]} |" for code in ExitCode)
    harmless = ", ".join(f"`{setting.name}`" for setting in SETTINGS if setting.harmless)
    reserved = ", ".join(f"`{command.name}`" for command in COMMANDS if command.is_reserved)
    return f"""\
{MADE}

# Command line

```
{main_parser(summary()).format_help().rstrip()}
```

`chatcli COMMAND --help` explains a command. Reserved for later versions: {reserved}.

{FORMATS}
## Settings

Flags win over the environment, then `--env-file`, then the `.env` of the working folder, then the profile, then the top
level of `config.toml`. A key stored with `chatcli config login` is used last. `chatcli config show` lists each value and
where it comes from.

| `config.toml` | environment | flag | meaning |
|---|---|---|---|
{settings}

A `.env` in the working folder may only set {harmless}, and a key for OpenAI if you
have no other key and the file names no endpoint. The rest is ignored until you run `chatcli trust`. `--env-file .env`
uses the whole file for one run. `OPENAI_BASE_URL` wins over its older name `OPENAI_API_BASE`. A URL without a scheme is
`http://` on this machine and `https://` elsewhere. `CHATCLI_CONFIG_DIR`, `CHATCLI_DATA_DIR`, `CHATCLI_CACHE_DIR` and
`CHATCLI_LOCAL_DIR` move the folders. `CHATCLI_NO_LAZY_IMPORT=1` imports all of the openai package at once, not its types
on first use: to see whether a fault is due to that.

## Exit codes

| code | meaning |
|---|---|
{codes}
"""


def slash_commands() -> str:
    tables = "\n\n".join(
        f"## {heading.capitalize()}\n\n| command | what it does |\n|---|---|\n"
        + "\n".join(map(_slash_command, commands))
        for heading, commands in COMMAND_GROUPS
    )
    return f"""\
{MADE}

# Slash commands

In a conversation, a line that begins with `/` and a word is a command. A path such as `/etc/hosts` is not. `/help`, or `?`
alone, lists all commands, and says which ones cannot do anything now and why. Tab completes names and arguments. `exit`
and `quit` work without the slash too.

A single line that begins with `!` is not sent, because other programs pass such lines to a shell. Put a space before it
to send it. In [plain mode](../guides/themes-and-plain.md), `/theme` and `/reasoning` have nothing to change, and say so.

{tables}
"""


def _slash_command(command: SlashCommand) -> str:
    usage = command.usage.replace("|", chr(92) + "|")
    aliases = f" (also {', '.join(f'`/{alias}`' for alias in command.aliases)})" if command.aliases else ""
    return f"| `{usage}` | {command.summary}{aliases} |"


def keys() -> str:
    rows = "\n".join(
        f"| `{action.name}` | {', '.join(map(shown_keys, action.keys))} | {action.summary}"
        f"{f', {action.when}' if action.when else ''} |"
        for action in KEY_ACTIONS
    )
    return f"""\
{MADE}

# Keys

The keys of a conversation, in addition to the usual editing keys. `[keys]` in `config.toml` sets other keys for an action,
one or several, or none with `[]`. `/keys` shows the current ones. See [Typing and keys](../guides/input.md).

| action | keys | what it does |
|---|---|---|
{rows}
"""


PAGES = {
    "command-line.md": command_line,
    "slash-commands.md": slash_commands,
    "keys.md": keys,
    "chatcli.1": partial(man_page, EXIT_CODES),
}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        path = REFERENCE / name
        if "--check" not in sys.argv:
            path.write_text(page(), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != page():
            stale.append(name)
    if stale:
        print(
            f"docs/reference is out of date ({', '.join(stale)}): run python scripts/reference.py",
            file=sys.stderr,
        )
    return 1 if stale else 0


if __name__ == "__main__":
    with writing():
        sys.exit(main())
