from __future__ import annotations

import itertools

from hypothesis import given
from markdown_it import MarkdownIt

from chatcli.render.markdown_ending import ended
from chatcli.sessions.exporting import Transcript, TranscriptPart, TranscriptTurn, to_markdown, transcript
from chatcli.text.sanitizer import sanitize
from sessions.strategies import sessions


def document(*pieces, title="Trip", speaker="You"):
    turn = TranscriptTurn(speaker, ("then", "small"), pieces)
    return to_markdown(Transcript(title, (("Model", "small"),), (turn,)), ended=ended)


def test_a_turn_is_a_rule_a_heading_and_what_was_said():
    made = document(TranscriptPart("words", "Hi *there*"))
    assert made == "# Trip\n\n- Model: small\n\n---\n\n## You\n\n*then · small*\n\nHi *there*\n"


def test_a_document_stands_in_a_fence_longer_than_those_in_it():
    made = document(TranscriptPart("document", "```py\nx\n```\n", "a`b.md"))
    assert "**Attached: a\\`b.md**\n\n````\n```py\nx\n```\n````\n" in made


def test_what_a_tool_said_and_what_is_no_text_can_be_told_from_words():
    made = document(TranscriptPart("tool", "42"), TranscriptPart("attachment", "", "a.png (image/png)"))
    assert "**From a tool:**\n\n```\n42\n```" in made
    assert "**Attached, not in this file: a.png (image/png)**" in made


def test_what_an_answer_cites_is_listed_with_its_addresses_as_they_are():
    made = document(
        TranscriptPart("sources", "[1] *Paris* · https://example.com/a_b_c\n[2] https://example.com")
    )
    assert (
        "**Sources:**\n\n```\n[1] *Paris* · https://example.com/a_b_c\n[2] https://example.com\n```" in made
    )


def test_a_title_is_one_line_of_text():
    made = document(title="<b> # *x*\nRm")
    assert made.startswith("# \\<b\\> \\# \\*x\\* Rm\n")


def test_an_answer_keeps_its_headings_and_cannot_swallow_the_next_turn():
    turns = [
        TranscriptTurn(
            "Assistant", ("interrupted",), (TranscriptPart("markdown", "# Mine\n\n```py\nx = 1"),)
        ),
        TranscriptTurn("You", ("then",), (TranscriptPart("words", "And?"),)),
    ]
    made = to_markdown(Transcript("T", (), tuple(turns)), ended=ended)
    assert "\n# Mine\n\n```py\nx = 1\n```\n\n---\n\n## You\n" in made


def test_control_characters_are_shown_not_sent():
    assert "\x1b" not in document(
        TranscriptPart("words", "\x1b[31m"), TranscriptPart("document", "\x1b[31m", "\x1b"), title="\x1b"
    )


@given(sessions())
def test_every_question_is_in_it_and_every_turn_is_a_heading(session):
    made = to_markdown(transcript(session), ended=ended)
    assert all(sanitize(part).rstrip("\n") in made for part in person_text(session.questions))
    tokens = MarkdownIt("commonmark").parse(made)
    headings = [
        following.content
        for token, following in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.tag == "h2"
    ]
    turns = [turn.speaker for turn in transcript(session).turns]
    remaining = iter(headings)
    assert all(speaker in remaining for speaker in turns)


def person_text(questions):
    return [
        part.text
        for record in questions
        for part in record.message.parts
        if getattr(part, "origin", None) in {"person", "model"}
    ]
