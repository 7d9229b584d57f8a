"""Code taken out of an answer."""

from __future__ import annotations

import pytest

from chatcli.render.extract import first_code_block


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
    ],
)
def test_the_code_of_the_first_fence_is_found_exactly(markdown, code):
    assert first_code_block(markdown) == code
