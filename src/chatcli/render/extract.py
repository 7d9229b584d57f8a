"""The code inside an answer."""

from __future__ import annotations


def code_blocks(markdown: str) -> list[str]:
    """Return the code of the fenced blocks in order, each ending in a newline: block 1, block 2 and so on.

    Fences are those of CommonMark 0.31 §4.5, in lists and quotes too; one that is never closed runs to the end
    of what holds it. In a block of Markdown an inner fence with an info string opens a block that belongs to it.
    The fence lines and their indentation are not part of the code.
    """
    # Here, so that a start does not wait for the whole of Markdown.
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
    """Return the first of the ``code_blocks``, ``None`` where there is no fence."""
    return next(iter(code_blocks(markdown)), None)
