"""Extraction of code from an answer."""

from __future__ import annotations


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
