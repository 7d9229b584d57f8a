"""The readable text of an HTML page, extracted by trafilatura in a process of its own: ``python -m chatcli.attachments.html_text``.

The page is a stranger's, and its parser is written in C: the process has no keys in its environment and limits of
time and memory, and Ctrl-C ends it. It reads UTF-8 and writes one line of JSON: ``{"title", "text"}`` or ``{"error"}``.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from chatcli.core.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE: Final = "chatcli.attachments.html_text"
REQUIREMENT: Final = "trafilatura>=2.3,<3"
"""The extra ``web``; chatcli itself is not to be had from the index by its name."""
TIMEOUT_S: Final = 20.0

_MISSING: Final = "missing"
_MOST_MEMORY_BYTES: Final = 2_000_000_000
# Without these Python does not start, or does not find its packages.
_KEPT_VARIABLES: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV"),
    *("SYSTEMROOT", "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "USERPROFILE"),
)
_HIDDEN: Final = (
    "//*[@hidden or @aria-hidden='true' or self::template or self::noscript or self::script or self::style"
    " or contains(translate(@style, 'DISPLAYNOE \t\n', 'displaynoe'), 'display:none')"
    " or contains(translate(@style, 'VISBLTYHDEN \t\n', 'visbltyhden'), 'visibility:hidden')]"
)
"""What a browser does not show: words in it are meant for programs only."""


async def html_text(
    html: str, name: str, *, executable: str, environment: Mapping[str, str], timeout_s: float = TIMEOUT_S
) -> tuple[str | None, str]:
    """Return the title of the page ``name``, ``None`` if it has none, and its readable text as Markdown.

    Raise ``ConfigurationError`` if trafilatura is not installed, ``UsageError`` if the page has no readable text.
    """
    import asyncio  # noqa: PLC0415 - the process below needs none

    # Without -P the folder the person works in could bring its own modules.
    command = (executable, "-P", "-m", MODULE)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={kept: environment[kept] for kept in _KEPT_VARIABLES if kept in environment},
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate(html.encode("utf-8", "replace"))
    except TimeoutError as error:
        raise _unreadable(name, f"was not read within {timeout_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _result(output, name, executable)


def _result(output: bytes, name: str, executable: str) -> tuple[str | None, str]:
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        raise _unreadable(name, "is too large or too unusual to read") from None
    if answer.get("error") == _MISSING:
        raise ConfigurationError(
            f"{name} is an HTML page, and reading those needs an extra package",
            hint=f'install it beside chatcli: "{executable}" -m pip install "{REQUIREMENT}"',
            code="web_missing",
        )
    if "text" not in answer:
        raise _unreadable(name, "has no readable text; its content may be made by scripts")
    return answer["title"], answer["text"]


def _unreadable(name: str, what: str) -> UsageError:
    return UsageError(
        f"{name} {what}", hint="copy the text from your browser, and paste it", code="page_unreadable"
    )


def main() -> int:
    """Extract the text of the page on stdin."""
    _limit()
    html = sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        answer = _extracted(html)
    except ImportError:
        answer = {"error": _MISSING}
    except Exception as error:  # noqa: BLE001 - hostile pages find every mistake of a parser
        answer = {"error": type(error).__name__}
    sys.stdout.buffer.write(json.dumps(answer).encode())
    return 0


def _limit() -> None:
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    for limit, most in ((resource.RLIMIT_CPU, int(TIMEOUT_S) + 1), (resource.RLIMIT_AS, _MOST_MEMORY_BYTES)):
        hard = resource.getrlimit(limit)[1]
        highest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (highest, hard))


def _extracted(html: str) -> dict[str, str | None]:
    import trafilatura  # noqa: PLC0415 - an extra, and slow to import

    tree = trafilatura.load_html(html)
    if tree is None:
        from lxml.html import document_fromstring  # noqa: PLC0415 - trafilatura brings it

        # Trafilatura takes fragments for something else. An empty page is an error of the parser.
        tree = document_fromstring(html)
    title = " ".join("".join(tree.xpath("(//head/title)[1]//text()")).split()) or None
    for element in tree.xpath(_HIDDEN):
        if element.getparent() is not None:
            element.drop_tree()
    text = trafilatura.extract(tree, output_format="markdown", include_formatting=True, include_comments=True)
    text = text or trafilatura.html2txt(tree)
    if not text.strip():
        return {"error": "no text"}
    return {"title": title, "text": text.strip() + "\n"}


if __name__ == "__main__":
    sys.exit(main())
