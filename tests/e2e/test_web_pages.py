"""Web pages as attachments, by the whole program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from e2e.program import asked, ended
from scripted_server import HOLD, Answer, event_stream, serving_in_thread

PARIS = Answer(event_stream("Paris."))
WORDS = "This paragraph is long enough to be taken for the content of a page, and not for its menu. "
HTML = (
    f"<html><head><title>On cats</title></head><body><nav>Menu</nav><p>{WORDS * 3}</p></body></html>".encode()
)
ALLOWED = {"CHATCLI_PRIVATE_HOSTS": "127.0.0.1", "CHATCLI_API_KEY": "sk-a-secret-key-of-the-tests"}


def page(*script, kind="text/html; charset=utf-8", status=200, **headers):
    return Answer(script, status, {"content-type": kind, **headers})


@contextmanager
def site(**pages):
    """Serve ``pages`` by their names, and PARIS to every question."""

    def choose(request):
        return PARIS if request.method == "POST" else pages.get(request.path[1:], page(status=404))

    with serving_in_thread(choose=choose) as server:
        yield server


def address(server, name="cats"):
    return f"http://127.0.0.1:{server.port}/{name}"


def posted(server):
    return [request for request in server.requests if request.method == "POST"]


def test_a_page_goes_along_as_text_with_its_title_and_is_asked_for_without_keys(program):
    with site(cats=page(HTML)) as server:
        done = program.run("-f", address(server), "Sum up", server=server, **ALLOWED)
        assert (done.exit_code, done.stdout) == (0, "Paris.\n")
        sent = asked(server)[-1][1]
        assert f'<document name="{address(server)}">\n# On cats\n\nThis paragraph' in sent
        assert "Menu" not in sent
        assert f"attached: {address(server).removeprefix('http://')} “On cats” " in done.stderr
        assert set(server.requests[0].headers) == {"host", "accept", "accept-encoding", "user-agent"}
        assert "authorization" in posted(server)[0].headers
    assert "On cats" in program.saved[0][1]


def test_a_dry_run_shows_it_and_no_save_keeps_nothing(program):
    with site(cats=page(HTML)) as server:
        dry = program.run("-f", address(server), "--dry-run", "Sum up", server=server, **ALLOWED)
        assert "# On cats" in dry.stdout
        assert posted(server) == []
        unsaved = program.run("-f", address(server), "--no-save", "Sum up", server=server, **ALLOWED)
        assert unsaved.stdout == "Paris.\n"
    assert program.session_paths == []


@pytest.mark.parametrize(
    ("answer", "exit_code", "what"),
    [
        (page(status=404), 2, "404 Not Found"),
        (page(status=401), 2, "401 Unauthorized"),
        (page(status=503), 6, "503 Service Unavailable"),
        (page(status=429), 6, "429 Too Many Requests"),
        (page(b"%PDF-1.4 a", kind="text/plain"), 2, "it looks like a PDF (declared as text/plain)"),
        (page(b"<p></p>"), 2, "has no readable text"),
        (page(status=302, location="http://169.254.169.254/"), 2, "is a metadata service"),
        (page(status=302, location="/cats"), 6, "more than 5 redirects"),
    ],
)
def test_what_cannot_be_read_is_an_error_and_nothing_is_sent(program, answer, exit_code, what):
    with site(cats=answer) as server:
        done = program.run("-f", address(server), "Sum up", server=server, **ALLOWED)
        assert (done.exit_code, done.stdout) == (exit_code, "")
        message, hint = done.stderr.strip().split("\n")[-2:]
        assert message.startswith("error: ")
        assert what in message
        assert hint.startswith("→ ")
        assert posted(server) == []


def test_a_page_that_cannot_be_reached_is_an_object_where_json_is_wanted(program):
    with site(cats=page(status=503)) as server:
        done = program.run("-o", "json", "-f", address(server), "Sum up", server=server, **ALLOWED)
        assert done.exit_code == 6
        error = json.loads(done.stdout)["error"]
        assert (error["code"], error["status"]) == ("server_failed", 503)
        assert error["message"].endswith("503 Service Unavailable")


def test_an_attachment_that_is_refused_is_an_object_where_json_is_wanted(program):
    done = program.run("-o", "json", "-f", "missing.txt", "Sum up")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["message"].startswith("cannot read missing.txt")


def test_where_a_redirect_led_is_said(program):
    with site(cats=page(HTML), moved=page(status=302, location="/cats")) as server:
        url = f"http://127.0.0.1:{server.port}/moved"
        done = program.run("-f", url, "Sum up", server=server, **ALLOWED)
    assert f"{url} led to http://127.0.0.1:{server.port}/cats" in done.stderr


def test_the_own_machine_is_not_read_unless_it_is_allowed(program):
    with site(cats=page(HTML)) as server:
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "[::ffff:127.0.0.1]"):
            done = program.run("-f", f"http://{host}:{server.port}/cats", "Sum up", server=server)
            assert (done.exit_code, done.stdout) == (2, "")
        assert server.requests == []


def test_nothing_a_model_a_file_or_a_pipe_says_is_read(program):
    with site(cats=page(HTML)) as thief:
        tempting = Answer(event_stream(f"@{address(thief)} -f {address(thief)}"))
        (program.working_folder / "bad.md").write_text(f"Read @{address(thief)}", encoding="utf-8")
        templates = program.config_folder / "templates"
        templates.mkdir()
        (templates / "bad.md").write_text(f"Read @{address(thief)} {{{{input}}}}", encoding="utf-8")
        with serving_in_thread(tempting) as server:
            for arguments in (
                ("-s", "a", "Hi"),
                ("-s", "a", f"Go on with @{address(thief)}"),
                ("-f", "bad.md", "Hi"),
                ("-T", "bad", "Hi"),
                ("-s", "a", "--dry-run", "And?"),
            ):
                done = program.run(*arguments, server=server, stdin=f"see @{address(thief)}", **ALLOWED)
                assert done.exit_code == 0
            assert address(thief) in str(asked(server))
        assert thief.requests == []


def test_waiting_is_said_and_ctrl_c_ends_it(program):
    with site(cats=page(b"a", HOLD)) as server:
        arguments = ("-f", address(server), "Sum up")
        with program.started(*arguments, server=server, **ALLOWED) as process:
            assert process.stderr.readline().decode() == "reading 127.0.0.1, 1 B\n"
            process.send_signal(signal.SIGINT)
            done = ended(process)
        assert (done.exit_code, done.stdout, done.stderr) == (130, "", "")
        assert server.requests[0].closed.result(timeout=20) is False
        assert posted(server) == []


REBINDING = """
import socket, sys
answers = ["127.0.0.1"]
real = socket.getaddrinfo

def resolve(host, port, *arguments, **named):
    if host != "rebind.example":
        return real(host, port, *arguments, **named)
    address = answers.pop() if answers else "169.254.169.254"
    print("resolved to", address, file=sys.stderr)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

socket.getaddrinfo = resolve
from chatcli.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize("redirects", [False, True], ids=["at once", "at a redirect"])
def test_a_name_server_that_changes_its_answer_gains_nothing(program, redirects):
    """The name leads to a page at first, and to a metadata service from then on."""
    pages = {"cats": page(HTML), "again": page(status=302, location="/cats")}
    with site(**pages) as server:
        url = f"http://rebind.example:{server.port}/{'again' if redirects else 'cats'}"
        done = subprocess.run(
            [sys.executable, "-c", REBINDING, "-f", url, "Sum up"],
            env=program.environment(server, CHATCLI_PRIVATE_HOSTS="rebind.example"),
            cwd=program.working_folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    if redirects:
        assert done.returncode == 2
        assert "rebind.example leads to 169.254.169.254, a metadata service" in done.stderr
        assert [request.path for request in server.requests] == ["/again"]
    else:
        assert (done.returncode, done.stdout) == (0, "Paris.\n")
        assert done.stderr.count("resolved to") == 1
        assert server.requests[0].headers["host"] == f"rebind.example:{server.port}"


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal of POSIX")
class TestConversation:
    def test_a_page_is_mentioned_read_and_shown(self, terminal):
        with site(cats=page(HTML)) as server, terminal(server=server, columns=100, **ALLOWED) as screen:
            screen.wait_for("\n>")
            screen.type(f"What is in @{address(server)}?")
            shown = address(server).removeprefix("http://")
            screen.wait_for(f"attached: {shown}")
            screen.type("\r")
            screen.wait_for("Paris.")
            assert f"read: {shown} “On cats” " in screen.shown
            assert "# On cats" in asked(server)[-1][1]
            screen.type("/context\r")
            screen.wait_for("“On cats")

    def test_ctrl_c_stops_the_reading_and_gives_the_question_back(self, terminal):
        with site(cats=page(b"a", HOLD)) as server, terminal(server=server, **ALLOWED) as screen:
            screen.wait_for("\n>")
            screen.type(f"What is in @{address(server)}?\r")
            screen.wait_for("reading 127.0.0.1")
            screen.type("\x03")
            screen.wait_for("stopped before it was sent")
            screen.wait_for(f"> What is in @{address(server)}?")
            assert posted(server) == []
