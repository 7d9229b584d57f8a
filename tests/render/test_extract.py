"""Extraction of code from an answer."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatcli.render.extract import code_blocks, first_code_block, shell_command
from chatcli.render.themes import theme
from render.markdown.drawn import rendered
from render.markdown.specification import EXAMPLES
from render.markdown.test_block_stream import DIFFERS, DOCUMENTS

INNER = "# Title\n\n```bash\npip install thing\n```\n\n"
NESTED = f"Here:\n\n```markdown\n{INNER}Text.\n```\n\nMore?\n"


@pytest.mark.parametrize(
    ("markdown", "code"),
    [
        ("Here:\n\n```python\nx = 1\n```\n\n```\nsecond\n```\n", "x = 1\n"),
        ("~~~~sh\n```\nls\n~~~\n~~~~", "```\nls\n~~~\n"),
        ("   ```\n   a\n     b\n   ```\n", "a\n  b\n"),
        ("- item\n\n  ```go\n  f()\n  \tg()\n  ```\n", "f()\n\tg()\n"),
        ("1. ```\n   a\n   ```\n", "a\n"),
        ("> ```\n> a\n>  b\n> ```\n", "a\n b\n"),
        ("```\nnever closed", "never closed\n"),
        ("```\nnever closed\n", "never closed\n"),
        ("```make\nall:\n\tcc  \n\n\n```", "all:\n\tcc  \n\n\n"),
        ("    ```\n    indented code is no fence\n", None),
        ("inline ``` code ``` is no fence", None),
        ("text", None),
        ("", None),
        (NESTED, "# Title\n\n```bash\npip install thing\n```\n\nText.\n"),
        (
            NESTED.replace("```markdown", "````md").replace("Text.\n```", "```c\nopen\n````"),
            f"{INNER}```c\nopen\n",
        ),
        (NESTED.replace("```markdown", "```text"), "# Title\n\n```bash\npip install thing\n"),
    ],
)
def test_the_code_of_the_first_fence_is_found_exactly(markdown, code):
    assert first_code_block(markdown) == code


def test_blocks_are_numbered_in_order():
    assert code_blocks("```a\n1\n```\n> ```\n> 2\n> ```\n\n- ~~~\n  3\n") == ["1\n", "2\n", "3\n"]


@given(st.one_of(st.sampled_from(EXAMPLES).map(lambda example: example.markdown), DOCUMENTS))
def test_a_block_has_the_number_that_is_drawn_above_it(markdown):
    assume(not DIFFERS.search(markdown))
    drawn = rendered(markdown, theme("dark", None), 80)
    labels = re.findall(r"── (\d+)(?: · [^─]*)? ──", drawn)
    assert labels == [str(number) for number in range(1, len(code_blocks(markdown)) + 1)]


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        ("ls -la", "ls -la"),
        ("  ls -la\n\n", "ls -la"),
        ("`ls -la`", "ls -la"),
        ("``echo `date` ``", "``echo `date` ``"),
        ("echo `date`", "echo `date`"),
        ("Use this:\n\n```sh\n\nls -la\n\n```\nIt lists.", "ls -la"),
        ("```\nfor f in *; do\n\techo $f\ndone\n```", "for f in *; do\n\techo $f\ndone"),
        ("```console\n$ cd x\n$ ls\n```", "cd x\nls"),
        ("```sh\n# every file\nls\n```", "ls"),
        ("```sh\nls\r\n```", "ls"),
        ("```sh\ntouch a\x1b[201~\x00\r\n```", "touch a␛[201~␀"),
        ("", None),
        ("```\n\n```", None),
        ("# This cannot be done.", None),
        ("I cannot\ndo that.", None),
        ("I cannot do that.", None),
        ("Sorry, which files do you mean?", None),
        ("抱歉,我不能这样做。", None),
        ("`Ls all files.`", "Ls all files."),
        ("Rscript plot.R .", "Rscript plot.R ."),
        ("cd ..", "cd .."),
        ("echo 你好。", "echo 你好。"),
        ("ls *.?", "ls *.?"),
    ],
)
def test_a_command_is_the_first_block_or_an_answer_of_one_line(answer, command):
    assert shell_command(answer) == command


@given(st.text(st.sampled_from("`~$# \n\r\t\x00\x03\x1b\x7f\x9b\u202e\u2028[201~ls;")))
def test_whatever_the_answer_a_command_can_neither_act_nor_end_with_enter(answer):
    command = shell_command(answer)
    if command is not None:
        assert command == command.strip() != ""
        assert all(each.isprintable() or each in "\n\t" for each in command)
