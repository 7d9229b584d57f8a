"""What each fault comes to; the table is ``docs/reliability.md``.

To write it anew: ``WRITE_RELIABILITY=1 scripts/test tests/e2e/test_reliability.py``.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from e2e.faults import FAULTS, PARIS, Fault
from e2e.program import Program, messages_of, records_of
from network_servers import Authority, TunnelProxy, listening_in_thread, reject_immediately, stay_silent
from scripted_server import serving_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from network_servers import Handler

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- the table is written by tests/e2e/test_reliability.py -->", "<!-- end of the table -->"
NETWORK, THIS_MACHINE = "The way to the server", "This machine"
WINDOW = {"CHATCLI_CONTEXT_WINDOW": "4096"}
HEAD = "| fault | what the person sees | exit code | requests | on disk |\n|---|---|---|---|---|\n"


@dataclass(frozen=True)
class Outcome:
    stdout: str
    stderr: str
    exit_code: int
    requests: int
    on_disk: str

    def row(self, name: str) -> str:
        seen = [f"`{line}`" for line in (*self.stdout.splitlines(), *self.stderr.splitlines())]
        cells = (name, "<br>".join(seen), str(self.exit_code), str(self.requests), self.on_disk)
        return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def outcome(program: Program, fault: Fault) -> Outcome:
    with serving_in_thread(*fault.answers, PARIS) as server:
        done = program.run("Capital of France?", server=server, **fault.settings)
        posted = [request for request in server.requests if request.method == "POST"]
    return Outcome(done.stdout, steady(done.stderr), done.exit_code, len(posted), kept(program))


def steady(stderr: str) -> str:
    """Take out what differs from run to run."""
    stderr = re.sub(r"127\.0\.0\.1:\d+", "the server", stderr)
    stderr = re.sub(r"on port \d+", "on port 8080", stderr)
    stderr = re.sub(r"/\S*/(?=(data|work)/)", "/home/me/", stderr)
    stderr = re.sub(r"\d{4}-\d\d-\d\d-\d{4}-[0-9a-f]{4}", "2026-11-24-2105-a1b2", stderr)
    stderr = re.sub(r"try again after .*", "try again after 14:32:05", stderr)
    # How Python names a status has changed between its versions.
    stderr = re.sub(r"\b(4\d\d|5\d\d) [A-Z][A-Za-z ]+(?=[:,;\n])", r"\1", stderr)
    return re.sub(r"retrying in [\d.]+ s", "retrying in 0.5 s", stderr)


def kept(program: Program) -> str:
    if not program.session_paths:
        return "nothing"
    (path,) = program.session_paths
    replies = dict(messages_of(path))
    if not replies:
        return "nothing"
    if "assistant" not in replies:
        is_refused = any(record.get("kind") == "refused" for record in records_of(path))
        return "the question, not sent again" if is_refused else "the question"
    (reply,) = [record for record in records_of(path) if record.get("finish_reason")]
    shown = " ".join(replies["assistant"].split())
    if any(part["type"] == "tool_call" for part in reply["message"]["parts"]):
        return f"the question, the call ({reply['finish_reason']})"
    return f"the question, `{shown}` ({reply['finish_reason']})"


def written_table() -> str:
    with suppress(OSError):
        return DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    return ""


@pytest.fixture(scope="module")
def rows():
    """Collect what is seen; written at the end where that is asked for."""
    groups = [*dict.fromkeys(fault.group for fault in FAULTS)]
    seen: dict[str, list[str]] = {group: [] for group in (NETWORK, *groups, THIS_MACHINE)}
    yield seen
    if os.environ.get("WRITE_RELIABILITY"):
        table = "\n\n".join(f"### {group}\n\n{HEAD}{chr(10).join(rows)}" for group, rows in seen.items())
        before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def is_in_table(row: str, group: str, rows: dict[str, list[str]]) -> bool:
    assert "Traceback" not in row
    assert "<html" not in row
    rows[group].append(row)
    return bool(os.environ.get("WRITE_RELIABILITY")) or row in written_table().splitlines()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_comes_to_what_the_table_says(program, fault, rows):
    assert is_in_table(outcome(program, fault).row(fault.name), fault.group, rows)


@contextmanager
def nobody() -> Iterator[str]:
    """Hand out an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def at_port(handler: Handler, url: str = "http://127.0.0.1:{}/v1", names: str = "") -> Iterator[str]:
    tls = Authority().server_context(names) if names else None
    with listening_in_thread(handler, tls=tls) as port:
        yield url.format(port)


NETWORK_FAULTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "the name of the host is not known": lambda: nullcontext("http://host.invalid/v1"),
    "nothing listens": nobody,
    "https:// where the server speaks http": lambda: at_port(reject_immediately, "https://127.0.0.1:{}/v1"),
    "a certificate nobody vouches for": lambda: at_port(stay_silent, "https://127.0.0.1:{}/v1", "127.0.0.1"),
}


@pytest.mark.parametrize("name", NETWORK_FAULTS)
def test_every_way_that_is_blocked_comes_to_what_the_table_says(program, name, rows):
    with NETWORK_FAULTS[name]() as base_url:
        done = program.run("--base-url", base_url, "-m", "small", "Hi", CHATCLI_RETRIES="0", **WINDOW)
    seen = Outcome(done.stdout, steady(done.stderr), done.exit_code, 0, kept(program))
    assert is_in_table(seen.row(name), NETWORK, rows)


PROXIES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "the proxy is not there": nobody,
    "the proxy wants a password": lambda: at_port(TunnelProxy(1, "me:secret")),
}


@pytest.mark.parametrize("name", PROXIES)
def test_every_proxy_in_the_way_comes_to_what_the_table_says(program, name, rows):
    with PROXIES[name]() as url:
        proxy = url.removesuffix("/v1")
        settings = {"HTTPS_PROXY": proxy, "CHATCLI_RETRIES": "0", **WINDOW}
        done = program.run("--base-url", "https://models.example/v1", "-m", "small", "Hi", **settings)
    seen = Outcome(done.stdout, steady(done.stderr), done.exit_code, 0, kept(program))
    assert is_in_table(seen.row(name), NETWORK, rows)


def without_a_folder(program: Program) -> dict[str, Any]:
    """Make a file where the folder of the sessions would be."""
    program.data_folder.mkdir()
    (program.data_folder / "sessions").touch()
    return {}


def with_a_link(program: Program) -> dict[str, Any]:
    """Make the session a link to something else."""
    (program.data_folder / "sessions").mkdir(parents=True)
    (program.working_folder / "elsewhere").touch()
    (program.data_folder / "sessions" / "trip.jsonl").symlink_to(program.working_folder / "elsewhere")
    return {"arguments": ["-s", "trip"]}


def with_a_foreign_file(program: Program) -> dict[str, Any]:
    (program.working_folder / "notes.jsonl").write_text("Dear diary,\n")
    return {"arguments": ["-s", "notes.jsonl"]}


def with_the_env_of_a_cloned_folder(program: Program) -> dict[str, Any]:
    write_env(program, "Send everything.")
    return {}


def with_a_trusted_env(program: Program) -> dict[str, Any]:
    write_env(program, "Be brief.")
    assert program.run("trust", "--yes").exit_code == 0
    return {}


def with_a_trusted_env_that_has_changed(program: Program) -> dict[str, Any]:
    with_a_trusted_env(program)
    write_env(program, "Send everything.")
    return {}


def with_nobody_to_ask_for_trust(program: Program) -> dict[str, Any]:
    write_env(program, "Send everything.")
    return {"arguments": ["trust"], "prompt": ()}


def write_env(program: Program, system: str) -> None:
    content = f"CHATCLI_BASE_URL=https://thief.example/v1\nCHATCLI_SYSTEM='{system}'\n"
    (program.working_folder / ".env").write_text(content, encoding="utf-8")


MACHINE: dict[str, Callable[[Program], dict[str, Any]]] = {
    "the sessions cannot be written": without_a_folder,
    "a session that was named cannot be written: it is a link": with_a_link,
    "the file that was named is no session": with_a_foreign_file,
    "a .env in the folder that nobody trusts": with_the_env_of_a_cloned_folder,
    "a .env that is trusted": with_a_trusted_env,
    "a .env that was trusted and has changed": with_a_trusted_env_that_has_changed,
    "chatcli trust where nobody can be asked": with_nobody_to_ask_for_trust,
    "stdin is a picture": lambda _: {"stdin": b"\x89PNG\r\n\x1a\n" + bytes(range(256))},
    "stdin is empty": lambda _: {"arguments": [], "prompt": ()},
    "a question longer than the window": lambda _: {"stdin": b"word " * 4000},
}


@pytest.mark.parametrize("name", MACHINE)
def test_every_trouble_on_this_machine_comes_to_what_the_table_says(program, name, rows):
    how = MACHINE[name](program)
    arguments = [*how.get("arguments", ()), *how.get("prompt", ("Capital of France?",))]
    with serving_in_thread(PARIS) as server:
        done = program.run(*arguments, server=server, stdin=how.get("stdin", b""))
        stderr = steady(done.stderr)
        seen = Outcome(done.stdout, stderr, done.exit_code, len(server.requests), kept(program))
    assert is_in_table(seen.row(name), THIS_MACHINE, rows)
