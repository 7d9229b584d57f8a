"""The code inside an answer."""

from __future__ import annotations


def code_blocks(markdown: str) -> list[str]:
    """Return the code of the fenced blocks in order, each ending in a newline: block 1, block 2 and so on.

    Fences are those of CommonMark 0.31 §4.5, in lists and quotes too; one that is never closed runs to the end
    of what holds it. The fence lines and their indentation are not part of the code.
    """
    # Here, so that a program that extracts nothing does not pay for the parser.
    from markdown_it import MarkdownIt  # noqa: PLC0415

    fences = (token.content for token in MarkdownIt().parse(markdown) if token.type == "fence")
    return [code if code.endswith("\n") else code + "\n" for code in fences]


def first_code_block(markdown: str) -> str | None:
    """Return the first of the ``code_blocks``, ``None`` where there is no fence."""
    return next(iter(code_blocks(markdown)), None)
