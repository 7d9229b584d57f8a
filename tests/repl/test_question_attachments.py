"""Attachments of a question: named with ``/file`` or mentioned, read when it is sent."""

from __future__ import annotations

import asyncio

import pytest

from chatcli.core.messages import Message, TextPart
from chatcli.repl.question_attachments import Attachments
from repl.fakes import KeptFrontend
from repl.test_repl_session import PARIS, messages, start_repl  # noqa: F401 - the fixture
from scripted_server import Answer, event_stream, serving
from unframed import unframed


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    work = tmp_path / "files"
    work.mkdir()
    (work / "one.txt").write_text("one", encoding="utf-8")
    (work / "two.txt").write_text("two\n", encoding="utf-8")
    (work / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    monkeypatch.chdir(work)
    return work


def framed(name, text):
    return f'<document name="{name}">\n{text}</document>'


async def no_pages(address, _hints):
    raise AssertionError(f"{address} is read")


def last_asked(server):
    return unframed(server.requests[-1].json["messages"][-1]["content"])


async def test_a_mentioned_file_goes_along_and_is_no_word_of_the_persons(start_repl):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("What is in @one.txt?")
        assert last_asked(server) == f"What is in @one.txt?\n\n{framed('one.txt', 'one')}"
        assert "attached: one.txt 3 B" in repl.frontend.output
        (asked,) = repl.chat.session.questions
        assert [part.origin for part in asked.message.parts] == ["person", "document"]


async def test_what_is_folded_mentions_nothing(start_repl):  # noqa: F811
    async with serving(PARIS) as server:
        await start_repl(server).take("a log with @one.txt in it", shown="[pasted 200 lines]")
        assert last_asked(server) == "a log with @one.txt in it"


async def test_a_named_file_goes_with_the_next_question_alone(start_repl):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/file one.txt 'two.txt'")
        await repl.take("Compare with @one.txt")
        both = framed("one.txt", "one") + "\n\n" + framed("two.txt", "two\n")
        assert last_asked(server) == f"Compare with @one.txt\n\n{both}"
        await repl.take("And?")
        assert last_asked(server) == "And?"


async def test_it_stays_until_the_question_is_sent(start_repl):  # noqa: F811
    repl = start_repl()
    await repl.take("/file one.txt")
    await repl.take("@photo.png?")
    assert repl.frontend.drafted == "@photo.png?"
    assert repl.frontend.holds == 1
    assert "error: photo.png is not text: it looks like a PNG image" in repl.frontend.text
    assert [attached.name for attached in repl.attachments.named] == ["one.txt"]
    assert not repl.chat.session.questions


async def test_it_can_be_taken_away(start_repl):  # noqa: F811
    repl = start_repl()
    await repl.take("/file one.txt two.txt")
    await repl.take("/file -one.txt")
    await repl.take("/file -gone.txt")
    assert [attached.name for attached in repl.attachments.named] == ["two.txt"]
    assert "error: gone.txt is not attached" in repl.frontend.text
    await repl.take("/file -all")
    assert repl.frontend.output[-1] == "removed all attachments"


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("gone.txt", "cannot read gone.txt: No such file or directory"),
        (".", ". is a folder"),
        ("photo.png", "photo.png is not text"),
        ("'one.txt", "unbalanced quote in 'one.txt"),
    ],
)
async def test_what_cannot_be_attached_is_reported_at_once(start_repl, argument, reason):  # noqa: F811
    repl = start_repl()
    await repl.take(f"/file {argument}")
    assert f"error: {reason}" in repl.frontend.text
    assert not repl.attachments.named


async def test_a_file_that_changed_is_read_as_it_is_when_it_is_sent(start_repl, folder):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server)
        await repl.take("/file one.txt")
        (folder / "one.txt").write_text("other", encoding="utf-8")
        await repl.take("Hi")
        assert last_asked(server) == f"Hi\n\n{framed('one.txt', 'other')}"


async def test_a_question_that_is_too_long_keeps_what_goes_with_it(start_repl, folder):  # noqa: F811
    (folder / "long.txt").write_text("word " * 5000, encoding="utf-8")
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=1000)
        await repl.take("/file long.txt")
        await repl.take("Hi")
        assert repl.frontend.drafted == "Hi"
        assert [attached.name for attached in repl.attachments.named] == ["long.txt"]


async def test_keys_are_listed_with_what_was_changed(start_repl):  # noqa: F811
    repl = start_repl(keys={"leave": (), "send": "f5"})
    await repl.take("/keys")
    lines = {
        line.split("  ")[0]: line.split("  ")[-1].strip() for line in repl.frontend.output[1].split("\n")
    }
    assert lines["F5"] == "send; while an answer streams, queue (changed)"
    assert lines["no key"] == "leave, with an empty composer (changed)"


async def test_there_are_no_keys_line_by_line(start_repl):  # noqa: F811
    repl = start_repl(frontend=KeptFrontend(draws=False))
    await repl.take("/keys")
    assert "error: /keys: line by line the only keys are" in repl.frontend.text


async def test_a_file_that_may_be_in_several_encodings_is_asked_about(start_repl, folder):  # noqa: F811
    (folder / "names.txt").write_bytes("北京".encode("gb18030"))
    async with serving(PARIS) as server:
        repl = start_repl(server, frontend=KeptFrontend("7", "1"))
        await repl.take("Who is in @names.txt?")
        assert last_asked(server).endswith(framed("names.txt", "北京"))
    assert "names.txt is not UTF-8 and may be in any of these encodings:" in repl.frontend.text


async def test_what_is_turned_down_there_sends_nothing(start_repl, folder):  # noqa: F811
    (folder / "names.txt").write_bytes("北京".encode("gb18030"))
    async with serving(PARIS) as server:
        repl = start_repl(server, frontend=KeptFrontend(None))
        await repl.take("Who is in @names.txt?")
        assert [request for request in server.requests if request.method == "POST"] == []
    assert "no encoding was chosen for names.txt" in repl.frontend.text
    assert repl.frontend.drafted == "Who is in @names.txt?"


def test_what_is_no_text_is_refused_while_it_is_being_mentioned():
    attachments = Attachments(no_pages)
    line = attachments.line("see @photo.png and @one.txt")
    assert line == "not text, cannot be attached: photo.png · attached: one.txt 3 B"
    assert attachments.likely_tokens("see @photo.png and @one.txt") == 1


def test_a_file_that_goes_along_is_counted_once():
    attachments = Attachments(no_pages)
    assert attachments.likely_tokens("@two.txt @two.txt @one.txt") == 3
    assert attachments.likely_tokens("none") == 0


PAGE = Answer([b"# On cats\n\nThey purr."], 200, {"content-type": "text/markdown"})
GONE = Answer([], 404)


def pages_and(*answers):
    """Return how a server chooses that has pages, and answers questions with ``answers``, the last one again."""
    left = list(answers)

    def choose(request):
        if request.method == "GET" and request.path.startswith("/pages/"):
            return GONE if request.path.endswith("gone") else PAGE
        if request.method == "GET":
            return Answer([], 404)
        return left.pop(0) if len(left) > 1 else left[0]

    return choose


def fetched(server):
    return [request.path for request in server.requests if request.path.startswith("/pages/")]


class TestPages:
    HOSTS = "127.0.0.1"

    def start(self, start_repl, server, **flags):  # noqa: F811
        return start_repl(server, private_hosts=self.HOSTS, **flags)

    def address(self, server, name="cats"):
        return f"http://127.0.0.1:{server.port}/pages/{name}"

    async def test_a_mentioned_page_goes_along_under_its_address(self, start_repl):  # noqa: F811
        async with serving(choose=pages_and(PARIS)) as server:
            repl, address = self.start(start_repl, server), self.address(server)
            await repl.take(f"Who purrs, says @{address}?")
            assert last_asked(server).endswith(framed(address, "# On cats\n\nThey purr."))
            label = address.removeprefix("http://")
            assert f"attached: {label}" in repl.frontend.output
            assert f"read: {label} “On cats” 21 B" in repl.frontend.output
            assert [part.origin for part in repl.chat.session.questions[0].message.parts] == [
                "person",
                "document",
            ]
            await repl.take("/context")
            assert "… + “On cats” http://127.0.0.1:" in repl.frontend.text
        assert fetched(server) == ["/pages/cats"]

    async def test_a_named_page_is_read_at_once_and_only_once(self, start_repl):  # noqa: F811
        async with serving(choose=pages_and(PARIS)) as server:
            repl, address = self.start(start_repl, server), self.address(server)
            await repl.take(f"/file {address} one.txt")
            assert fetched(server) == ["/pages/cats"]
            assert "“On cats” 21 B, one.txt 3 B" in repl.frontend.output[-1]
            assert repl.attachments.likely_tokens("") > 4
            await repl.take("/file")
            assert address in repl.frontend.text
            await repl.take(f"Hi @{address}")
            assert last_asked(server).count("They purr.") == 1
            await repl.take("And?")
            assert last_asked(server) == "And?"
        assert fetched(server) == ["/pages/cats"]

    async def test_a_named_page_can_be_taken_away(self, start_repl):  # noqa: F811
        async with serving(choose=pages_and(PARIS)) as server:
            repl, address = self.start(start_repl, server), self.address(server)
            await repl.take(f"/file {address}")
            await repl.take(f"/file -{address}")
            assert not repl.attachments.named

    async def test_what_cannot_be_read_sends_nothing(self, start_repl):  # noqa: F811
        async with serving(choose=pages_and(PARIS)) as server:
            repl, address = self.start(start_repl, server), self.address(server, "gone")
            await repl.take(f"/file {address}")
            assert f"error: {address}: 404 Not Found" in repl.frontend.text
            assert not repl.attachments.named
            await repl.take(f"Hi @{address}")
            assert repl.frontend.drafted == f"Hi @{address}"
            assert not repl.chat.session.questions
        assert [request for request in server.requests if request.method == "POST"] == []

    async def test_private_addresses_are_refused(self, start_repl):  # noqa: F811
        async with serving(choose=pages_and(PARIS)) as server:
            repl = start_repl(server)
            await repl.take(f"Hi @{self.address(server)}")
            assert "127.0.0.1 is this machine, and is not read" in repl.frontend.text
        assert server.requests == []

    async def test_nothing_but_the_persons_own_words_is_looked_at(self, start_repl, folder):  # noqa: F811
        """Not an answer, not a file, not a folded paste, not what a template or the session says."""
        async with serving(choose=pages_and(PARIS)) as server:
            mention = f"@{self.address(server)}"
            tempting = Answer(event_stream(f"Read {mention} and @one.txt, /file {mention[1:]}"))
            async with serving(choose=pages_and(tempting)) as model:
                repl = self.start(start_repl, model, system=f"See {mention}")
                (folder / "tempting.txt").write_text(f"see {mention}", encoding="utf-8")
                templates = repl.context.paths.config / "templates"
                templates.mkdir(parents=True)
                (templates / "bad.md").write_text(f"Sum up {mention}: {{{{input}}}}", encoding="utf-8")
                for line in (
                    *("What is @tempting.txt?", "/t bad words", "/retry", "/last", "/continue", "/context"),
                    *(
                        "/tree",
                        "/undo",
                        "/file tempting.txt",
                        "Go on",
                        f"/note {mention}",
                        "/fork",
                        "And now?",
                    ),
                ):
                    await repl.take(line)
                await repl.take(f"pasted {mention}", shown="[pasted 99 lines]")
                assert len([request for request in model.requests if request.method == "POST"]) >= 6
                assert mention in last_asked(model)
        assert server.requests == []


def foreign(*texts, imported=None):
    return Message("user", tuple(TextPart(text, origin) for text, origin in texts), imported=imported)


@pytest.mark.parametrize("command", ["/edit", "/undo"])
@pytest.mark.parametrize(
    "stored",
    [
        foreign(("See @one.txt and @https://e.example/.", "person"), imported="chatgpt"),
        foreign((framed("x.md", "@one.txt @https://e.example/"), "document")),
    ],
)
async def test_what_a_text_of_others_mentions_is_not_attached_when_it_is_edited(start_repl, stored, command):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        repl.attachments = Attachments(no_pages)
        repl.chat.opened.journal.message(stored, parent=None)
        await repl.take(command)
        assert repl.attachments.line(repl.frontend.drafted) == ""
        await repl.take(repl.frontend.drafted + " And @two.txt?")
    sent = last_asked(server)
    assert framed("two.txt", "two\n") in sent
    assert framed("one.txt", "one") not in sent
    (said,) = (line for line in repl.frontend.output if line.startswith("not attached: "))
    assert "one.txt, https://e.example/ (it stood in a text of others" in said


async def test_the_persons_own_words_attach_again_when_they_are_edited(start_repl):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        repl.chat.opened.journal.message(foreign(("See @one.txt.", "person")), parent=None)
        await repl.take("/edit")
        await repl.take(repl.frontend.drafted)
    assert framed("one.txt", "one") in last_asked(server)


async def test_what_stood_in_a_text_of_others_is_attached_by_name(start_repl):  # noqa: F811
    async with serving(PARIS) as server:
        repl = start_repl(server, context_window=4096)
        stored = foreign(("See @one.txt.", "person"), imported="llm")
        repl.chat.opened.journal.message(stored, parent=None)
        await repl.take("/edit")
        await repl.take("/file one.txt")
        await repl.take(repl.frontend.drafted)
    assert framed("one.txt", "one") in last_asked(server)
    assert "not attached" not in repl.frontend.text


async def test_a_page_that_is_no_longer_waited_for_is_said_not_to_be_attached(start_repl):  # noqa: F811
    begun = asyncio.Event()

    async def endless(_address, _hints):
        begun.set()
        await asyncio.Event().wait()

    repl = start_repl()
    repl.attachments = Attachments(endless)
    task = asyncio.create_task(repl.take("/file https://e.example/"))
    await begun.wait()
    task.cancel()
    await task
    assert "stopped: https://e.example/ is not attached" in repl.frontend.output
    assert repl.attachments.named == ()
