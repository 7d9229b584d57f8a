"""The code inside an answer, for ``-x``."""

from __future__ import annotations


def first_code_block(markdown: str) -> str | None:
    """Return the code of the first fenced block, ending in a newline; ``None`` where there is no fence.

    Fences are those of CommonMark 0.31 §4.5, in lists and quotes too; one that is never closed runs to the end
    of what holds it. The fence lines and their indentation are not part of the code.
    """
    # Here, so that a program that extracts nothing does not pay for the parser.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    fences = (token for token in MarkdownIt().parse(markdown) if token.type == "fence")
    fence = next(fences, None)
    if fence is None:
        return None
    return fence.content if fence.content.endswith("\n") else fence.content + "\n"
