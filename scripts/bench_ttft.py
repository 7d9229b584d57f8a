"""Enter to the first visible token, without the server's own time, in the REPL and in a plain script."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import bench_endpoint
from bench_prefill import prefill
from bench_pty import Running
from bench_resume import session_of
from bench_sessions import verdict
from bench_start import REPL, percentile_ms
from bench_ttft_server import HOST, MODEL, WINDOW_TOKENS, first_word, last_word, serve_first_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

MEDIAN_MS, P99_MS = 10, 25
LONG_MESSAGES: Final = 400
SETTLED_AFTER_S: Final = 3.0
"""Loading after the prompt is measured elsewhere."""

KEYS: Final = "say more"
KEY_GAP_S, ENTER_GAP_S, READING_S = 0.05, 0.08, 0.4
IDLE_CLOSE_S, LONG_READING_S = 1.0, 1.3
"""Where the server closes idle connections, each is closed when the next question is typed."""


@dataclass(frozen=True, slots=True)
class Case:
    """A way to the server: ``messages`` of history, encrypted or not, through a proxy, closing idle connections."""

    name: str
    messages: int = 0
    is_encrypted: bool = False
    has_proxy: bool = False
    closes_idle: bool = False


CASES: Final = (
    Case("http, no history"),
    Case("http, 400 messages", messages=LONG_MESSAGES),
    Case("https, no history", is_encrypted=True),
    Case("https, 400 messages", messages=LONG_MESSAGES, is_encrypted=True),
    Case("https, closed while idle", is_encrypted=True, closes_idle=True),
    Case("https, proxy", is_encrypted=True, has_proxy=True),
    Case("https, proxy, closed while idle", is_encrypted=True, has_proxy=True, closes_idle=True),
)


class Turn(NamedTuple):
    """The parts of a turn: Enter to the complete request at the server, its own time, and its first token to the screen.

    ``cpu_s`` is what the program ran from Enter to the first token, which other programs hardly change.
    """

    sending_s: float
    server_s: float
    drawing_s: float
    cpu_s: float
    is_reused: bool

    @property
    def total_s(self) -> float:
        return self.sending_s + self.drawing_s


def ttft(turns: int) -> None:
    """Ask questions one after the other; the first of a run, on a cold connection, is told apart."""
    if sys.platform == "win32":
        print("  not measured: it needs a pseudo terminal, which Python does not have on Windows")
        return
    with tempfile.TemporaryDirectory() as folder:
        certificates = _certificates(Path(folder))
        print(
            f"  {turns} turns each; milliseconds, median and p99; total is sending and drawing, CPU is from Enter to the token"
        )
        parts = "".join(f"{name:>14}" for name in ("total", "sending", "server", "drawing"))
        print(f"  {'':<48}{'first':>7}{parts}{'CPU':>7}  reused")
        found: list[float] = []
        for number, case in enumerate(CASES):
            for name in ("chatcli", "plain openai script"):
                own = Path(folder, f"{number}-{name.partition(' ')[0]}")
                measured = _turns(name, case, own, certificates, turns)
                _show(f"{case.name}: {name}", measured)
                if name == "chatcli":
                    found += [turn.total_s for turn in measured[1:]]
    median_ms, p99_ms = statistics.median(found) * 1000, percentile_ms(sorted(found), 99)
    print(f"ttft: median {median_ms:.1f} ms (at most {MEDIAN_MS}): {verdict(median_ms, MEDIAN_MS)}")
    print(f"ttft: p99 {p99_ms:.1f} ms (at most {P99_MS}): {verdict(p99_ms, P99_MS)}")
    prefill()


def _show(name: str, turns: Sequence[Turn]) -> None:
    first, later = turns[0], turns[1:]
    parts = "".join(
        f"{statistics.median(times) * 1000:8.1f}{percentile_ms(times, 99):6.1f}"
        for part in ("total_s", "sending_s", "server_s", "drawing_s")
        for times in [sorted(getattr(turn, part) for turn in later)]
    )
    cpu_ms = statistics.median(turn.cpu_s for turn in later) * 1000
    print(
        f"  {name:<48}{first.total_s * 1000:7.1f}{parts}{cpu_ms:7.1f}"
        f"  {sum(turn.is_reused for turn in later)}/{len(later)}",
        flush=True,
    )


def _turns(name: str, case: Case, own: Path, certificates: tuple[Path, Path], turns: int) -> list[Turn]:
    certificate, bundle = certificates
    closes_after_s = IDLE_CLOSE_S if case.closes_idle else None
    with serve_first_tokens(certificate if case.is_encrypted else None, closes_after_s) as server:
        scheme = "https" if case.is_encrypted else "http"
        host = HOST if case.has_proxy else "127.0.0.1"
        environment = {
            **bench_endpoint.environment(f"{scheme}://{host}:{server.port}/v1", str(own)),
            "OPENAI_API_KEY": "none",
            "CHATCLI_MODEL": MODEL,
            "CHATCLI_CONTEXT_WINDOW": str(WINDOW_TOKENS),
            "SSL_CERT_FILE": str(bundle),
            "TERM": "xterm-256color",
        }
        if case.has_proxy:
            environment["HTTPS_PROXY"] = f"http://127.0.0.1:{server.proxy_port}"
        is_ours = name == "chatcli"
        command = _repl(case, own) if is_ours else _plain(case, own)
        with Running(command, environment) as terminal:
            terminal.wait_for("> ")
            terminal.watch(SETTLED_AFTER_S)
            reading_s = LONG_READING_S if case.closes_idle else READING_S
            return [_turn(terminal, server, number, reading_s) for number in range(1, turns + 2)]


def _turn(terminal: Running, server: serve_first_tokens, number: int, reading_s: float = READING_S) -> Turn:
    for key in KEYS:
        terminal.type(key)
        terminal.watch(KEY_GAP_S)
    terminal.watch(ENTER_GAP_S)
    ran_s, entered_s = terminal.running_s(), time.perf_counter()
    terminal.type("\r")
    shown_s = terminal.wait_for_new(first_word(number))
    cpu_s = terminal.running_s() - ran_s
    terminal.wait_for_new(last_word(number))
    times = server.answered(number)
    terminal.watch(reading_s)
    return Turn(
        sending_s=times.complete_s - entered_s,
        server_s=times.written_s - times.complete_s,
        drawing_s=shown_s - times.written_s,
        cpu_s=cpu_s,
        is_reused=times.requests > 1,
    )


def _repl(case: Case, own: Path) -> list[str]:
    if not case.messages:
        return list(REPL)
    sessions = own / "DATA" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "long.jsonl").write_bytes(session_of(case.messages))
    return [*REPL, "-s", "long"]


def _plain(case: Case, own: Path) -> list[str]:
    command = [sys.executable, str(Path(__file__).with_name("bench_plain_turns.py")), MODEL]
    if not case.messages:
        return command
    own.mkdir(parents=True)
    records = map(json.loads, session_of(case.messages).splitlines()[1:])
    history = [
        {"role": record["message"]["role"], "content": record["message"]["parts"][0]["text"]}
        for record in records
    ]
    (own / "history.json").write_text(json.dumps(history), "utf-8")
    return [*command, str(own / "history.json")]


def _certificates(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of an authority nobody else trusts; return it with its key, and the authority's."""
    import trustme

    authority = trustme.CA(organization_name="Authority of the bench")
    certificate, bundle = folder / "server.pem", folder / "authority.pem"
    authority.issue_cert(HOST, "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(bundle))
    return certificate, bundle
