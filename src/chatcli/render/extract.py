"""Extraction of code from an answer."""

from __future__ import annotations

from itertools import takewhile
from typing import Final

from chatcli.text.lazy_pattern import lazy_pattern
from chatcli.text.sanitizer import sanitize

_CODE_SPAN: Final = lazy_pattern(r"(`+)(?P<code>[^`\n]+)\1\Z")
_SENTENCE: Final = lazy_pattern(r"(?:[A-Z][a-z'’]*,? .*[a-z)][.!?]|[^\x00-\x7f].*[。！？])\Z")
"""A line of words: a refusal, or a question."""
_PROMPT_SIGN: Final = lazy_pattern(r"\$ +")


def code_blocks(markdown: str) -> list[str]:
    """Return the code of the fenced blocks in order, each with a final newline.

    Fences follow CommonMark 0.31 §4.5, in lists and quotes too; an unclosed one extends to the end of its
    container. In a block of Markdown, an inner fence with an info string starts a block that belongs to it.
    Fence lines and their indentation are not included.
    """
    # Imported late, so that the start does not wait for the Markdown engine.
    from chatcli.render.markdown.block_stream import blocks_of  # noqa: PLC0415
    from chatcli.render.markdown.blocks import CodeStart, CodeText, FormulaStart, HtmlStart  # noqa: PLC0415

    blocks: list[list[str]] = []
    code: list[str] = []
    for block in blocks_of(markdown):
        match block:
            case CodeStart(info=info):
                code = []
                if info is not None:
                    blocks.append(code)
            case HtmlStart() | FormulaStart():
                code = []
            case CodeText(text=text):
                code.append(text)
    return ["\n".join(lines) + "\n" for lines in blocks]


def first_code_block(markdown: str) -> str | None:
    """Return the first of ``code_blocks``, ``None`` if there is none."""
    return next(iter(code_blocks(markdown)), None)


def shell_command(answer: str) -> str | None:
    """Return the command of an answer as it can stand on a command line, ``None`` if there is none.

    It is the first fenced block, else an answer of one line that is no sentence. Control and invisible characters are made visible, and
    there are no blanks around it: no newline that could be Enter. Comments before it are left out: zsh would run them.
    """
    code = first_code_block(answer)
    command = sanitize(answer if code is None else code).strip()
    if code is None:
        if span := _CODE_SPAN.match(command):
            command = span["code"].strip()
        elif "\n" in command or _SENTENCE.match(command):
            return None
    lines = command.split("\n")
    if all(_PROMPT_SIGN.match(line) for line in lines):
        lines = [_PROMPT_SIGN.sub("", line) for line in lines]
    described = takewhile(lambda line: not line.strip() or line.lstrip().startswith("#"), lines)
    return "\n".join(lines[len(list(described)) :]).strip() or None
