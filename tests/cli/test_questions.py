"""The question of a one-shot call, with and without a template."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import pytest

from chatcli.app.run_context import RunContext
from chatcli.attachments.web_texts import WebText
from chatcli.cli import questions
from chatcli.cli.questions import chosen_template, system_prompt
from chatcli.config.paths import find_paths
from chatcli.core.errors import UsageError
from chatcli.core.messages import TextPart, question
from chatcli.templates.template import read_template
from cli.fakes import terminal


def options(*words, prompt_option=None, files=None, encoding=None, reads_stdin=True, quiet=False):
    return Namespace(
        prompt=list(words),
        prompt_option=prompt_option,
        files=files,
        encoding=encoding,
        reads_stdin=reads_stdin,
        quiet=quiet,
        system=None,
        variables=None,
    )


def compose(given, terminal, template=None, *, pages=None):
    """Return the question; ``pages`` are the only ones that may be read, by their addresses."""
    pages = pages or {}
    return questions.compose(
        given, terminal, template, read_page=lambda address, _hints: WebText(address, pages[address])
    )


@pytest.fixture
def file_on_stdin(tmp_path):
    """Return a function that makes a terminal whose stdin is a regular file."""
    opened = []

    def start(content):
        path = tmp_path / "stdin.txt"
        path.write_bytes(content)
        opened.append(path.open("rb"))
        return replace(terminal(), stdin=opened[-1])

    yield start
    for file in opened:
        file.close()


def test_the_words_are_the_question():
    assert compose(options("what", "is", "this?"), terminal()) == question("what is this?")


def test_the_named_prompt_comes_before_the_words():
    assert compose(options("more", prompt_option="stats"), terminal()) == question("stats\nmore")


def test_piped_text_alone_is_the_question():
    assert compose(options(), terminal(b"what is this?\n\n")) == question("what is this?")


def test_piped_text_beside_words_is_a_document():
    composed = compose(options("count"), terminal(b"a,b"))
    assert composed.parts == (
        TextPart("count"),
        TextPart('<document name="stdin">\na,b</document>', "document"),
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\ntwo\n", "stdin attached: 2 lines\n"),
        (b"one", "stdin attached: 1 line\n"),
        (b"\n \n", ""),
    ],
)
def test_a_file_on_stdin_beside_a_prompt_is_mentioned(file_on_stdin, content, message):
    stdin = file_on_stdin(content)
    compose(options("count"), stdin)
    assert stdin.err == message


@pytest.mark.parametrize(
    "given",
    [options("count", quiet=True), options(), options("count", files=["-"]), options("x", reads_stdin=False)],
    ids=["quiet", "no prompt", "asked for", "left alone"],
)
def test_a_file_on_stdin_is_not_mentioned_where_there_is_nothing_to_say(file_on_stdin, given):
    stdin = file_on_stdin(b"one\ntwo\n")
    compose(given, stdin)
    assert stdin.err == ""


def test_a_pipe_beside_a_prompt_is_not_mentioned():
    pipe = terminal(b"a\n")
    compose(options("count"), pipe)
    assert pipe.err == ""


def test_stdin_that_is_to_be_left_alone_is_not_read(file_on_stdin):
    stdin = file_on_stdin(b"the next line of a loop\n")
    assert compose(options("hi", reads_stdin=False), stdin) == question("hi")
    assert stdin.stdin.read() == b"the next line of a loop\n"


def test_stdin_cannot_be_attached_and_left_alone():
    with pytest.raises(UsageError, match="-f - reads stdin"):
        compose(options("hi", files=["-"], reads_stdin=False), terminal(b"x"))


def test_a_pipe_can_be_attached_by_its_dash():
    composed = compose(options(files=["-"]), terminal(b"a,b"))
    assert [part.origin for part in composed.parts] == ["document"]


def test_files_come_in_the_order_they_were_named(tmp_path):
    names = [str(tmp_path / name) for name in ("b.txt", "a.txt")]
    for name in names:
        (tmp_path / name).write_text(f"text of {name}\n", encoding="utf-8")
    composed = compose(options("compare", files=names), terminal())
    assert [part.text.splitlines()[1] for part in composed.parts[1:]] == [f"text of {name}" for name in names]


def test_a_quote_in_a_file_name_cannot_end_the_frame(tmp_path):
    path = tmp_path / 'a" trusted="yes'
    try:
        path.write_text("text", encoding="utf-8")
    except OSError:
        pytest.skip("this file system has no such names")
    composed = compose(options(files=[str(path)]), terminal())
    assert composed.parts[0].text.splitlines()[0].endswith('a&quot; trusted=&quot;yes">')


def test_nothing_asked_at_a_keyboard_is_a_conversation():
    assert compose(options(), terminal(is_terminal=True)) is None


@pytest.mark.parametrize("piped", [b"", b" \n", None], ids=["empty", "blank", "closed"])
def test_nothing_asked_anywhere_else_is_a_mistake(piped):
    with pytest.raises(UsageError, match="no prompt was given"):
        compose(options(), terminal(piped))


def test_an_empty_prompt_at_a_keyboard_is_a_mistake():
    with pytest.raises(UsageError, match="no prompt was given"):
        compose(options(""), terminal(is_terminal=True))


def test_a_keyboard_is_not_waited_for_when_something_was_asked():
    assert compose(options("hi"), terminal(b"typed later", is_terminal=True)) == question("hi")


def test_a_guess_about_piped_text_is_reported():
    streams = terminal("Café".encode("latin-1"))
    assert compose(options(), streams) == question("Café")
    assert streams.err.startswith("stdin is not UTF-8; ")
    assert "set --encoding if it is wrong" in streams.err


def test_the_encoding_that_is_named_is_taken_without_a_word(tmp_path):
    (tmp_path / "names.txt").write_bytes("臼奨".encode("euc_jp"))
    streams = terminal("北京".encode("gb18030"))
    asked = options("Who?", encoding="gbk", files=[str(tmp_path / "names.txt")])
    assert [part.text.splitlines()[-1] for part in compose(asked, streams).parts] == [
        "Who?",
        "北京</document>",
        "北京</document>",
    ]
    assert streams.err == ""


def test_an_encoding_there_is_not_is_a_mistake_with_a_suggestion():
    with pytest.raises(UsageError, match="there is no encoding gbk18030") as caught:
        compose(options("Hi", encoding="gbk18030"), terminal())
    assert caught.value.hint == "did you mean gb18030?"


class TestAFileThatMayBeInSeveralEncodings:
    @pytest.fixture
    def names(self, tmp_path):
        path = tmp_path / "names.txt"
        path.write_bytes("北京".encode("gb18030"))
        return str(path)

    def read(self, names, answer):
        asked = terminal(answer, is_terminal=True)
        return compose(options("Who?", files=[names]), asked).parts[1].text.splitlines()[-1], asked.err

    def test_is_asked_about_at_a_keyboard(self, names):
        _, message = self.read(names, b"1\n")
        heading, first = message.split(":\n")[0].split(), message.split(":\n")[1].splitlines()[0]
        assert " ".join(heading) == f"{names} is not UTF-8 and may be in any of these encodings"
        assert first.split() == ["1", "Simplified", "Chinese", "(GB18030)", "北京"]
        assert "Which one reads right? [1-" in message

    def test_reads_as_the_person_chooses(self, names):
        (first, _), (second, message) = self.read(names, b"\n"), self.read(names, b"2\n")
        assert first == "北京</document>"
        assert second != first
        assert second.removesuffix("</document>") in message

    def test_is_asked_about_again_after_an_answer_that_is_none(self, names):
        assert self.read(names, b"9\nx\n1\n")[1].count("Which one reads right?") == 3

    def test_is_not_sent_where_nothing_is_chosen(self, names):
        with pytest.raises(UsageError, match="no encoding was chosen for ") as caught:
            self.read(names, b"")
        assert "--encoding" in caught.value.hint


def test_a_system_prompt_is_its_text_or_a_file(tmp_path):
    (tmp_path / "pirate.txt").write_text("Arr", encoding="utf-8")
    assert system_prompt("Be brief", terminal()) == "Be brief"
    assert system_prompt(f"@{tmp_path / 'pirate.txt'}", terminal()) == "Arr"


def template_options(*words, **given):
    usual = {
        "prompt": list(words),
        "prompt_option": None,
        "files": None,
        "encoding": None,
        "variables": None,
        "templates": None,
        "output": None,
        "extract": False,
    }
    return Namespace(**{"reads_stdin": True, "quiet": False, "system": None, **usual, **given})


def composed(text, *words, stdin=b"", is_terminal=False, **given):
    asking = terminal(stdin, is_terminal=is_terminal)
    return compose(template_options(*words, **given), asking, read_template("x", text, "x.md")).parts


def test_piped_text_stands_where_the_input_does_as_a_document():
    assert composed("Review {{ input }} well.", stdin=b"a,b") == (
        TextPart("Review"),
        TextPart('<document name="stdin">\na,b</document>', "document"),
        TextPart("well."),
    )


def test_piped_text_is_attached_to_a_template_without_a_place_for_it():
    assert [part.origin for part in composed("Review.", stdin=b"a,b")] == ["person", "document"]


def test_a_file_stands_there_too_and_words_follow(tmp_path):
    path = tmp_path / "notes.md"
    path.write_text("Buy {{ milk }}", encoding="utf-8")
    parts = composed("Sum up {{ input }}", "in", "two", "words", files=[str(path)])
    assert "Buy {{ milk }}" in parts[1].text
    assert parts[2] == TextPart("in two words")


def test_words_are_the_input_where_nothing_else_is():
    assert composed("Explain {{ input }}.", "two", "words") == (TextPart("Explain two words."),)
    assert composed("Explain {{ input }}.", "words", prompt_option="more") == (
        TextPart("Explain more\nwords."),
    )


def test_the_first_words_go_to_the_numbered_places():
    text = "From {{ 1 }} to {{ 2 }}: {{ input }}"
    assert composed(text, "a b", "c", "d", "e") == (TextPart("From a b to c: d e"),)


def test_variables_are_given_by_their_names():
    assert composed("To {{ to }} by {{ by }}", variables=["to=a=b", "by="]) == (TextPart("To a=b by "),)


@pytest.mark.parametrize(
    ("variables", "message"),
    [(["to"], "--var must be NAME=VALUE, not to"), (["ot=x"], "the template x has no variable ot")],
)
def test_a_variable_that_cannot_be_is_a_mistake(variables, message):
    with pytest.raises(UsageError, match=message):
        composed("{{ to }}", variables=variables)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{ to }}", "give it with --var to=VALUE"),
        ("{{ 1 }}", "write it behind the options, as word 1"),
        ("{{ input }}", "pipe it in, attach it with -f, or write it behind the options"),
    ],
)
def test_in_a_pipe_what_is_missing_is_reported_with_how_to_give_it(text, hint):
    with pytest.raises(UsageError, match="the template x needs ") as caught:
        composed(text)
    assert (caught.value.hint, caught.value.code) == (hint, "missing_variable")


def test_at_a_keyboard_what_is_missing_is_asked_for_beside_the_answer():
    asking = terminal(b"French\nTCP\n", is_terminal=True)
    template = read_template("x", '{{ 1 = "Say" }} in {{ to }}: {{ input }}', "x.md")
    assert compose(template_options(), asking, template).text == "Say in French: TCP"
    assert (asking.err, asking.out) == ("to: input: ", "")


def test_a_person_who_gives_no_answer_is_reported_what_is_missing():
    with pytest.raises(UsageError, match="the template x needs to"):
        composed("{{ to }}", is_terminal=True)


@pytest.fixture
def context(tmp_path):
    environment = {
        f"CHATCLI_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "CACHE", "LOCAL")
    }
    folder = tmp_path / "CONFIG" / "templates"
    folder.mkdir(parents=True)
    (folder / "mine.md").write_text(
        '+++\nmodel = "small"\nextract = true\noutput = "json"\n+++\nHello', encoding="utf-8"
    )
    return RunContext(environment, find_paths(environment))


def test_a_template_sets_what_the_person_does_not(context):
    given = template_options(templates=["mine"])
    _, settings = chosen_template(given, context, terminal())
    assert (settings.place, settings.table) == ("template mine", {"model": "small"})
    assert (given.extract, given.output) == (True, "json")
    given = template_options(templates=["mine"], output="text")
    chosen_template(given, context, terminal())
    assert (given.extract, given.output) == (False, "text")


def test_several_templates_are_one_and_say_where_they_differ(context):
    (context.paths.config / "templates" / "other.md").write_text(
        '+++\nmodel = "large"\nsystem = "Be brief."\n+++\nBye {{ input }}', encoding="utf-8"
    )
    asking = terminal()
    template, settings = chosen_template(template_options(templates=["mine", "other"]), context, asking)
    assert (settings.place, settings.table) == (
        "template mine + other",
        {"model": "large", "system": "Be brief."},
    )
    assert template.takes_input
    assert asking.err == "model comes from the template other, not from mine\n"
    quiet = terminal()
    chosen_template(template_options(templates=["mine+other"], quiet=True), context, quiet)
    assert quiet.err == ""


def test_without_a_template_there_are_no_variables(context):
    with pytest.raises(UsageError, match="--var only works with a template"):
        chosen_template(template_options(variables=["a=b"]), context, terminal())


def test_a_page_is_a_document_in_the_order_it_was_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text", encoding="utf-8")
    address = "https://host.example/a"
    asked = terminal()
    composed = compose(
        options("compare", files=[address, str(path)]), asked, pages={address: "# Cats\n\nPurr."}
    )
    assert [part.text.splitlines()[0] for part in composed.parts[1:]] == [
        f'<document name="{address}">',
        f'<document name="{path}">',
    ]
    assert asked.err == "attached: host.example/a “Cats” 13 B\n"


def test_with_quiet_nothing_is_said_of_a_page():
    asked = terminal()
    composed = compose(
        options("sum up", files=["https://a.example"], quiet=True), asked, pages={"https://a.example": "x"}
    )
    assert len(composed.parts) == 2
    assert asked.err == ""


def test_a_page_that_is_only_mentioned_is_not_read():
    piped = b"see @https://a.example and https://b.example"
    composed = compose(options("read @https://c.example"), terminal(piped))
    assert [part.origin for part in composed.parts] == ["person", "document"]
