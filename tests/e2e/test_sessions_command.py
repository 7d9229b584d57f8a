"""The saved conversations from the command line, as they are typed."""

from __future__ import annotations

import json
import sys
import time

import pytest

from e2e.program import asked, command
from scripted_server import Answer, event_stream, serving_in_thread
from sessions.stored_sessions import StoredSessions

if sys.platform != "win32":
    from e2e.pseudo_terminal import CTRL_C, on_terminal

needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
DAY_S = 86_400
PARIS = Answer(event_stream("Paris."))


@pytest.fixture
def stored(program):
    return StoredSessions(program.data_folder)


@pytest.fixture
def sessions(program):
    return lambda *words, **options: program.run("sessions", *words, **options)


@pytest.mark.parametrize("action", ["list", "show", "search", "rename", "rm", "prune"])
def test_every_action_explains_itself(sessions, action):
    done = sessions(action, "--help")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: chatcli sessions {action} ")


def test_the_command_lists_its_actions(sessions):
    shown = sessions("--help").stdout
    assert "\n  search  search all conversations, in any language\n" in shown
    assert sessions("search", "--help").stdout.count("chatcli sessions search ") >= 3


def test_a_flag_may_stand_before_the_action(sessions, stored):
    stored.add("trip", "Hi")
    assert sessions("--json", "list").stdout == sessions("list", "--json").stdout


def test_the_list_keeps_its_lines_and_gains_a_folder(sessions, stored, program):
    stored.add("trip", "Where is Rome?", folder=str(program.working_folder), used_s=1_000)
    stored.add("会话", "a\x1b[31mb", "c", folder="/elsewhere", used_s=2_000)
    listed = sessions("list", TZ="UTC").stdout
    assert listed == (
        "会话  1970-01-01 00:33     1 turn  a␛[31mb\ntrip  1970-01-01 00:16     1 turn  Where is Rome?\n"
    )
    (_, trip) = json.loads(sessions("list", "--json").stdout)
    assert list(trip)[:5] == ["name", "path", "title", "turns", "last_used"]
    assert trip["folder"] == str(program.working_folder)
    assert sessions("list", "--here").stdout.startswith("trip  ")
    assert sessions("search", "--here", "b").stderr == "no session contains b\n"


def test_a_search_shows_name_time_title_and_the_words_around(sessions, stored):
    stored.add(
        "trip", "How do I get there?", "Take the\nnight train to Rome\x1b[2J.", title="Ferien", used_s=1_000
    )
    stored.add("other", "Hi")
    done = sessions("search", "train", "rom", TZ="UTC")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "trip  1970-01-01 00:16  Ferien\n    Take the night train to Rome␛[2J.\n"


def test_words_of_two_chinese_characters_are_found(sessions, stored):
    stored.add("trip", "我想去北京玩")
    assert "我想去北京玩" in sessions("search", "北京").stdout


def test_a_search_is_json_for_programs(sessions, stored):
    stored.add("trip", "Go to Rome\x1b.")
    (hit,) = json.loads(sessions("search", "rome", "--json").stdout)
    assert (hit["name"], hit["excerpt"]) == ("trip", "Go to Rome\x1b.")
    assert hit["excerpt"][slice(*hit["at"])] == "Rome"


def test_nothing_found_is_no_error_and_said(sessions, stored):
    stored.add("trip", "Hi")
    done = sessions("search", "rome\x1b")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no session contains rome␛\n")
    assert json.loads(sessions("search", "rome", "--json").stdout) == []


def test_a_limit_is_kept_and_told(sessions, stored):
    for number in range(3):
        stored.add(f"s{number}", "Rome", used_s=1_000 + number)
    done = sessions("search", "rome", "--limit", "2")
    assert [line.split()[0] for line in done.stdout.splitlines()[::2]] == ["s2", "s1"]
    assert done.stderr == "2 of 3; --limit N shows more\n"


@pytest.mark.parametrize("words", ['"', "AND", "a*b", "NEAR(", "-- -x", "c++ (", "'; DROP TABLE sessions"])
def test_whatever_is_searched_for_is_words(sessions, stored, words):
    stored.add("trip", "Hi")
    done = sessions("search", *words.split())
    assert (done.exit_code, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search"], "search for what?"),
        (["search", "a", "--limit", "0"], "--limit 0 is too small"),
        (["rename"], "which session?"),
        (["rename", "trip"], "rename it to what?"),
        (["prune"], "how old?"),
        (["prune", "--older-than", "soon"], "--older-than 'soon' is not an age"),
        (["prune", "--older-than", "1d"], "prune asks before it removes anything"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_missing_is_asked_for(sessions, arguments, message):
    done = sessions(*arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {message}")
    assert "\n→ " in done.stderr


def test_a_title_and_a_name_are_given(sessions, stored):
    stored.add("trip", "Hi")
    assert (
        sessions("rename", "trip", "Trains", "to\x1b Rome").stderr == "trip has the title Trains to␛ Rome\n"
    )
    assert sessions("list").stdout.rstrip().endswith("Trains to␛ Rome")
    assert sessions("rename", "trip", "--name", "rome").stderr == "trip is now rome\n"
    assert "Hi" in sessions("show", "rome").stdout
    assert sessions("show", "trip").exit_code == 2


def test_many_are_removed_at_once(sessions, stored, program):
    for name in ("a", "b", "c"):
        stored.add(name, "Hi")
    assert sessions("rm", "a", "c").stderr == "removed a\nremoved c\n"
    assert [path.stem for path in program.session_paths] == ["b"]


@pytest.fixture
def old_and_new(stored):
    stored.add("old", "Hi", used_s=time.time() - 100 * DAY_S)
    stored.add("new", "Hi", used_s=time.time())


def test_the_old_are_listed_and_with_yes_removed(sessions, program, old_and_new):
    listed = sessions("prune", "--older-than", "90d", "--dry-run")
    assert listed.stdout.startswith("old  ")
    assert listed.stderr == "1 session, 0.0 MB, would be removed\n"
    assert len(program.session_paths) == 2
    assert sessions("prune", "--older-than", "3m", "--yes").stderr == "removed 1 session\n"
    assert [path.stem for path in program.session_paths] == ["new"]
    assert sessions("prune", "--older-than", "1w", "--yes").stderr == "no session has been unused for 1w\n"


def in_terminal(program, *words):
    return on_terminal(
        command("sessions", *words), environment=program.environment(), folder=program.working_folder
    )


@needs_pty
def test_on_a_narrow_terminal_a_title_has_a_line_of_its_own(program, stored):
    stored.add("trip", "To Rome by train", "Fine.", used_s=1_000)
    listing = on_terminal(
        command("sessions", "list"),
        environment=program.environment(),
        folder=program.working_folder,
        columns=40,
    )
    with listing as terminal:
        terminal.wait_for("    To Rome by train")
        assert terminal.wait_for_exit() == 0
        assert terminal.shown.splitlines()[0].rstrip().endswith("1 turn")


@needs_pty
@pytest.mark.parametrize(("keys", "left", "code"), [("y\r", 1, 0), ("\r", 2, 0), ("n\r", 2, 0)])
def test_on_a_terminal_pruning_asks(program, old_and_new, keys, left, code):
    with in_terminal(program, "prune", "--older-than", "90d") as terminal:
        terminal.wait_for("remove 1 session, 0.0 MB, for good? [y/N]")
        terminal.type(keys)
        assert terminal.wait_for_exit() == code
    assert len(program.session_paths) == left


@needs_pty
def test_ctrl_c_at_the_question_removes_nothing(program, old_and_new):
    with in_terminal(program, "prune", "--older-than", "90d") as terminal:
        terminal.wait_for("[y/N]")
        terminal.type(CTRL_C)
        assert terminal.wait_for_exit() == 130
    assert len(program.session_paths) == 2


@needs_pty
def test_on_a_terminal_the_hit_is_bold_and_in_sight(program, stored):
    stored.add("trip", "word " * 20 + "needle" + " word" * 40)
    with in_terminal(program, "search", "needle") as terminal:
        assert terminal.wait_for_exit() == 0
        assert b"\x1b[1mneedle\x1b[0m" in terminal.received
        assert max(map(len, terminal.shown.splitlines())) < 80


def message_line(part, **fields):
    parts = [{"type": "text", "text": "Venice"} | part]
    message = {
        "type": "message",
        "id": "b",
        "parent": None,
        "at": "t",
        "message": {"role": "user", "parts": parts},
    }
    return json.dumps(message | {"model": "m"} | fields).encode() + b"\n"


DAMAGE = [
    message_line({"origin": {}}),
    message_line({}, cost_usd=int("9" * 400)),
    b'{"type":"mark","id":"b","parent":{},"at":"t","kind":"title","value":'
    + b"[" * 5_000
    + b"]" * 5_000
    + b"}\n",
    b"\0" * 4_096 + b"\n",
    b"\xff\xfe{}\n",
    b"7" * 5_000 + b"\n",
]


@pytest.fixture
def damaged(stored):
    """Sound sessions, and beside them one with every damage and a file that is no session at all."""
    stored.add("sound", "To Rome", "By train.", used_s=2_000)
    file = stored.add("hurt", "To Milan", used_s=1_000)
    with file.path.open("ab") as stream:
        stream.writelines(DAMAGE)
    (stored.folder / "diary.jsonl").write_bytes(b"Dear diary\n")
    return file


def test_a_damaged_session_is_named_and_touches_no_other(sessions, damaged):
    before = damaged.path.read_bytes()
    listed = sessions("list")
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["hurt", "sound"]
    assert "(damaged)" in listed.stdout.splitlines()[0]
    assert "hurt has 6 damaged records\n→ damaged records are skipped" in listed.stderr
    assert "diary.jsonl is not a chatcli session" in listed.stderr
    assert [row["damaged_records"] for row in json.loads(sessions("list", "--json").stdout)] == [6, 0]
    assert "sound" in sessions("search", "train").stdout
    assert "hurt" in sessions("search", "venice").stdout
    shown = sessions("show", "hurt")
    assert "Venice" in shown.stdout
    assert "hurt has 6 damaged records" in shown.stderr
    assert damaged.path.read_bytes() == before


BEGINNING = b'{"type":"header","format":1,'


@pytest.mark.parametrize(
    "beginning",
    [
        b"\xff" + BEGINNING,
        b"Dear diary,\n" + BEGINNING,
        BEGINNING.replace(b"1", b'"1"'),
        BEGINNING.replace(b"header", b"heXder"),
        b"\0" * 4_096 + b"\n" + BEGINNING,
    ],
)
def test_a_session_with_a_damaged_beginning_is_there_for_every_command(program, sessions, stored, beginning):
    stored.add("sound", "To Rome", "By train.", used_s=2_000)
    file = stored.add("hurt", "To Milan", "By bus.", used_s=1_000)
    before = file.path.read_bytes().replace(BEGINNING, beginning, 1)
    file.path.write_bytes(before)
    listed = json.loads(sessions("list", "--json").stdout)
    assert [(row["name"], row["damaged_records"] > 0) for row in listed] == [("hurt", True), ("sound", False)]
    assert "By bus." in sessions("show", "hurt").stdout
    assert "hurt" in sessions("search", "milan").stdout
    assert "By bus." in sessions("export", "hurt", "--format", "markdown").stdout
    assert file.path.read_bytes() == before
    for which in (("-s", "hurt"), ("-c",)):
        with serving_in_thread(PARIS) as server:
            done = program.run(*which, "And then?", server=server)
        assert (done.exit_code, done.stdout) == (0, "Paris.\n")
        assert ("user", "To Milan") in asked(server)
    assert file.path.read_bytes().startswith(before)


@pytest.mark.parametrize("form", ["json", "markdown", "html"])
def test_a_damaged_session_is_exported_with_the_others(sessions, damaged, tmp_path, form):
    done = sessions("export", "--all", "--format", form, "--out", str(tmp_path / "out") + "/")
    assert done.exit_code == 0
    assert "hurt has 6 damaged records" in done.stderr
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == ["hurt", "sound"]


def test_a_damaged_session_is_removed_alone(sessions, damaged, stored):
    assert sessions("rm", "hurt").exit_code == 0
    assert [line.split()[0] for line in sessions("list").stdout.splitlines()] == ["sound"]


def test_a_damaged_session_is_gone_on_with(program, damaged):
    before = damaged.path.read_bytes()
    with serving_in_thread(Answer(event_stream("Sunny."))) as server:
        done = program.run("-s", "hurt", "How is the weather?", server=server)
    assert (done.exit_code, done.stdout) == (0, "Sunny.\n")
    assert done.stderr.count("hurt has 6 damaged records") == 1
    assert damaged.path.read_bytes().startswith(before)
