"""Rules that import-linter cannot express: when a library is loaded, and how a stream is read."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import chatcli

SOURCE = Path(chatcli.__file__).parent

SLOW_TO_IMPORT = {
    "asyncio",
    "dotenv",
    "httpx2",
    "keyring",
    "lxml",
    "openai",
    "platformdirs",
    "prompt_toolkit",
    "pydantic",
    "rich",
    "tenacity",
    "tiktoken",
    "tomlkit",
    "trafilatura",
    "wcwidth",
}

NOT_GENERATORS = {"self._attempts(wait)"}
"""Iterables without anything to close: tenacity's AsyncRetrying."""


def imported_by(*arguments: str) -> set[str]:
    """Return the top-level packages that ``python ARGUMENTS`` imports."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    names = (line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if "|" in line)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_nobody_waits_for_a_library_to_see_the_version_or_the_help(flag):
    imported = imported_by("-m", "chatcli", flag)
    assert "chatcli" in imported
    assert not imported & SLOW_TO_IMPORT


def test_a_table_in_a_pipe_does_not_wait_for_rich():
    table = "from chatcli.render.text_columns import table; table([('a', 'b')], sys.maxsize)"
    assert "rich" not in imported_by("-c", f"import sys; {table}")


def test_the_wiring_loads_no_library_before_it_needs_one():
    imported = imported_by("-c", "import chatcli.app.wiring")
    assert "chatcli" in imported
    assert not imported & SLOW_TO_IMPORT - {"asyncio"}


def unclosed_streams(path: Path) -> list[str]:
    """Return every ``async for`` over a generator without another owner, which nobody closes."""
    text = path.read_text("utf-8")
    tree = ast.parse(text if "async for" in text else "")
    loops = (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFor))
    return [
        f"{path.relative_to(SOURCE).as_posix()}:{loop.lineno}"
        for loop in loops
        if isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter) not in NOT_GENERATORS
    ]


def test_whoever_reads_a_stream_closes_it():
    # Left to the garbage collector, the server sees no close while a reference to the generator lives.
    assert [found for path in sorted(SOURCE.rglob("*.py")) for found in unclosed_streams(path)] == []


WHERE_ERRORS_ARE_MADE = {"core/errors.py", "client/openai_errors.py"}
PARTS_OF_ERRORS = {"args", "code", "hint", "message", "retryable", "retry_after_s", "status"}


def changed_errors(path: Path) -> list[str]:
    """Return every assignment to an attribute of a caught exception, or of a variable named like an error."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    caught = {node.name for node in nodes if isinstance(node, ast.ExceptHandler)} | {"error", "failure"}
    targets = [
        target
        for node in nodes
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for each in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for target in ast.walk(each)
    ]
    return [
        f"{path.relative_to(SOURCE).as_posix()}:{target.lineno}"
        for target in targets
        if isinstance(target, ast.Attribute)
        and target.attr in PARTS_OF_ERRORS
        and isinstance(target.value, ast.Name)
        and target.value.id in caught
    ]


def test_an_error_is_not_changed_once_it_is_raised():
    paths = [
        path
        for path in sorted(SOURCE.rglob("*.py"))
        if path.relative_to(SOURCE).as_posix() not in WHERE_ERRORS_ARE_MADE
    ]
    assert [found for path in paths for found in changed_errors(path)] == []


STYLE = re.compile(r"\x1b\[[\d;:]*m|\x9b[\d;:]*m")
COMMAND = re.compile("\x1b\\[|\x9b")
SPELLED = re.compile(r"1b|9b|33|\\N\{|\x1b|\x9b", re.IGNORECASE)
"""One of these is in every source that holds an escape character, however it is spelled."""

COMMANDS_OF_THE_TERMINAL = {
    "cli/live_screen.py": "moves over rows, erases them and brackets a frame",
    "cli/shell_completion/hotkey_scripts.py": "names the function keys to a shell",
    "render/background.py": "asks for the background, and reads the reply",
    "render/waiting_line.py": "erases its line and moves up",
    "terminal/key_decoding.py": "reads keys",
    "terminal/live_application.py": "brackets a frame",
    "terminal/suspension.py": "restores the terminal for the shell",
    "terminal/window_title.py": "keeps the title and takes it back",
    "text/redaction.py": "finds keys that such commands break apart",
}
"""Where commands to the terminal are written or read that are no styles, and what for."""

RESETS_STYLES = {"terminal/suspension.py"}
"""Where styles are switched off without knowing which are on."""


def literals(path: Path) -> list[str]:
    """Return the strings and bytes of a module, f-strings with a digit in place of each value."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.JoinedStr):
            found.append(
                "".join(part.value if isinstance(part, ast.Constant) else "1" for part in node.values)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes | str):
            found.append(node.value if isinstance(node.value, str) else node.value.decode("latin-1"))
    return found


def modules_with(pattern: re.Pattern[str]) -> set[str]:
    return {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if SPELLED.search(path.read_text("utf-8")) and any(map(pattern.search, literals(path)))
    }


def test_no_style_is_written_by_hand():
    # Styles come from the theme, which rich writes as escape sequences.
    assert modules_with(STYLE) == RESETS_STYLES


def test_commands_to_the_terminal_stand_where_they_are_listed():
    assert modules_with(COMMAND) == set(COMMANDS_OF_THE_TERMINAL)


@pytest.mark.parametrize(
    ("source", "is_style"),
    [
        (r'"\x1b[2mdim"', True),
        (r'f"\033[{on}m{text}\u001b[0m"', True),
        (r'b"\x1b[1;36m"', True),
        (r'"\x1b[?2026h\x1b[A\x1b[2K"', False),
        (r'r"\x1b\[[0-9;]*m"', False),
    ],
)
def test_a_style_is_recognized_however_it_is_spelled(tmp_path, source, is_style):
    module = tmp_path / "module.py"
    module.write_text(f"x = {source}\n", "utf-8")
    assert SPELLED.search(source)
    assert any(map(STYLE.search, literals(module))) is is_style


def test_what_prompt_toolkit_draws_has_its_styles_from_the_theme():
    # ANSI would read styles from escape sequences.
    readers = [
        path
        for path in SOURCE.rglob("*.py")
        if re.search(r"formatted_text import .*\bANSI\b", path.read_text("utf-8"))
    ]
    assert readers == []
