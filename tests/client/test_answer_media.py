"""Pictures and sounds in an answer, in the chunks that providers' documents show."""

from __future__ import annotations

import base64

import pytest

from chatcli.client.answer_media import AnswerMedia
from chatcli.core.events import Completion, Notice, TextDelta
from client.wire import asked, delta, end, events_of

PICTURE = base64.b64encode(bytes(12_345)).decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}


async def test_a_picture_beside_the_content_is_said_with_its_type_and_size(chat, streams):
    # https://openrouter.ai/docs/guides/overview/multimodal/image-generation
    streams(delta("Here: "), delta(images=[IMAGE]), end())
    assert await events_of(chat) == [
        TextDelta("Here: "),
        Notice(
            "media_not_shown", "the answer contains a picture (image/png, 12.3 kB), which cannot be shown"
        ),
        Completion("stop", "small-1"),
    ]


async def test_a_picture_among_the_parts_of_the_content_is_said_by_its_address(chat, streams):
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    streams(delta([{"type": "text", "text": "Here"}, image, image]), end())
    assert (await events_of(chat))[1] == Notice(
        "media_not_shown", "the answer contains a picture (https://example.com/a.png), which cannot be shown"
    )


async def test_the_words_of_a_sound_are_the_answer_and_the_sound_is_said(chat, streams):
    # https://platform.openai.com/docs/guides/audio
    data = base64.b64encode(bytes(3_000)).decode()
    streams(
        delta(audio={"id": "audio_1", "transcript": "Par"}),
        delta(audio={"transcript": "is."}),
        delta(audio={"data": data}),
        delta(audio={"data": data, "expires_at": 1}),
        end(),
    )
    request = asked(extra={"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}})
    assert await events_of(chat, request) == [
        TextDelta("Par"),
        TextDelta("is."),
        Notice("media_not_shown", "the answer contains a sound (audio/pcm16, 6.0 kB), which cannot be shown"),
        Completion("stop", "small-1"),
    ]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 999, 1_000, 2_500_000])
def test_the_size_is_that_of_the_picture_and_not_of_its_letters(size):
    media = AnswerMedia()
    media.picture_at(f"data:image/webp;base64,{base64.b64encode(bytes(size)).decode()}")
    told = {999: "999 bytes", 1_000: "1.0 kB", 2_500_000: "2.5 MB"}.get(size, f"{size} bytes")
    assert media.words() == f"a picture (image/webp, {told})"


def test_many_pictures_are_counted_and_a_few_described():
    media = AnswerMedia()
    for number in range(1_000):
        media.picture_at({"url": f"https://example.com/{number}{'x' * 900}"})
    assert media.words().startswith("1,000 pictures (https://example.com/0xxx")
    assert media.words().endswith("and 996 more)")
    assert len(media.words()) < 1_000


@pytest.mark.parametrize("odd", [None, 3, "", {}, {"url": None}, ["https://example.com/a.png"]])
def test_what_is_no_picture_is_not_said_to_be_one(odd):
    media = AnswerMedia()
    media.picture_at(odd)
    media.sound(odd)
    assert not media or odd == ""
