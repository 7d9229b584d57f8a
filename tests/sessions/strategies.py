"""Sessions of every shape, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from chatcli.core.events import CitedSource, Usage
from chatcli.core.messages import AudioPart, FilePart, ImagePart, Message, RefusalPart, TextPart
from chatcli.sessions.reading import read_records
from chatcli.sessions.records import (
    HeaderRecord,
    MarkRecord,
    MessageRecord,
    PartialRecord,
    ReplyMetadata,
    encode,
)
from chatcli.sessions.session import Session

any_text = st.text(st.characters(exclude_categories=()))
# Markdown and HTML syntax, so that meaningful texts are generated.
marked_text = st.lists(
    st.sampled_from(
        [
            *"`~*_#<>[]()!|&\\\"'- \n",
            "```",
            "~~~",
            "<!--",
            "<script>",
            "</style>",
            "](javascript:",
            "https://a.b/",
            "x",
        ]
    )
).map("".join)
texts = any_text | marked_text
timestamps = st.sampled_from(["2026-11-23T21:05:07.123Z", "2026-11-24T00:00:00.000Z", "then"])
counts = st.none() | st.integers(0, 10**9)
numbers = st.none() | st.floats(0, 1e6)
parts = st.one_of(
    st.builds(TextPart, texts, st.sampled_from(["person", "model", "document", "tool"])),
    st.builds(RefusalPart, texts),
    *(st.builds(part, any_text, any_text, any_text) for part in (ImagePart, AudioPart, FilePart)),
)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant"]),
    st.lists(parts, max_size=3).map(tuple),
    st.none() | st.dictionaries(st.text(), st.integers() | st.booleans(), max_size=2),
)
replies = st.builds(
    ReplyMetadata,
    st.none() | st.text(),
    st.none() | st.builds(Usage, counts, counts, counts, counts, estimated=st.booleans()),
    st.none() | st.sampled_from(["stop", "length", "interrupted"]) | st.text(),
    numbers,
    numbers,
    st.lists(
        st.builds(CitedSource, st.integers(1, 99), any_text, any_text)
        | st.builds(CitedSource, st.integers(1, 99), any_text, st.none(), any_text),
        max_size=2,
    ).map(tuple),
    st.none() | st.text(),
)
# Few ids, so that records refer to each other: as parents, in marks, in cycles.
ids = st.sampled_from("abcdefgh")
parents = st.none() | ids
marks = st.builds(
    MarkRecord,
    ids.map("mark {}".format),
    parents,
    timestamps,
    st.sampled_from(["title", "note", "pin", "unpin", "clear", "head", "model", "newer"]),
    parents | any_text,
)
said = st.one_of(
    st.builds(MessageRecord, ids, parents, timestamps, messages, st.none() | replies),
    st.builds(PartialRecord, ids, parents, timestamps, texts),
    marks,
)
headers = st.builds(HeaderRecord, any_text, timestamps, any_text)


@st.composite
def sessions(draw) -> Session:
    """Draw a session as read from a file."""
    records = [draw(headers), *draw(st.lists(said, max_size=12))]
    return Session.replay(read_records(b"".join(map(encode, records))))
