"""How many texts of the corpus are decoded correctly, both tuned and held-out ones."""

from __future__ import annotations

import pytest

from attachments.encoded_texts import HALVES, cases
from chatcli.attachments.encodings import decode
from chatcli.core.errors import UsageError

LEAST_RIGHT = 0.97
MOST_WRONG_AND_UNSAID = 0.01


def test_the_corpus_is_large_and_of_many_encodings():
    found = [case for half in HALVES for case in cases(half)]
    assert len({case.text for case in found}) >= 120
    assert len({case.encoding for case in found}) >= 20


@pytest.mark.parametrize("half", HALVES)
def test_nearly_every_text_is_read_right_whole_cut_or_damaged(half):
    right, wrong, unsaid = 0, [], []
    for case in cases(half):
        try:
            read = decode(case.content, "notes")
        except UsageError:
            wrong.append(case)
            continue
        if case.is_right(read.text):
            right += 1
        else:
            wrong.append(case)
            if not read.readings:
                unsaid.append(case)
    count = right + len(wrong)
    print(f"{half}: {right} of {count} right ({right / count:.1%}), {len(unsaid)} wrong without a word")  # noqa: T201 - the figure
    assert right / count >= LEAST_RIGHT, [*map(str, wrong)]
    assert len(unsaid) / count <= MOST_WRONG_AND_UNSAID, [*map(str, unsaid)]
