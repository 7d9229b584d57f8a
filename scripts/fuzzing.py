"""Fuzz the readers of external data and stored files, with atheris if it installs, else with hypothesis.

What makes a reader fail is kept in ``tests/fuzz/findings``, where every run of the tests reads it again.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checkout import writing

TESTS = Path(__file__).resolve().parents[1] / "tests"
FUZZ = TESTS / "fuzz"
NAMES = (
    *(
        "sse",
        "answers",
        "sessions",
        "imports",
        "llm",
        "index",
        "ledger",
        "memory",
        "history",
        "config",
        "schemas",
    ),
    *("sanitizer", "redactor", "scanner"),
)
LONGEST_BYTES = {"llm": 32_768, "index": 65_536}
"""A database has pages; of all others this is 4,096."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--minutes", type=float, default=5, help="for each target")
    parser.add_argument("--hypothesis", action="store_true", help="even where atheris is there")
    options = parser.parse_args()
    if options.targets == ["all"]:
        options.targets = []
    if unknown := set(options.targets) - set(NAMES):
        parser.error(f"no target is called {', '.join(sorted(unknown))}")
    guided = not options.hypothesis and has_atheris()
    failed = 0
    for name in options.targets or NAMES:
        print(f"{name}: {options.minutes:g} minutes with {'atheris' if guided else 'hypothesis'}", flush=True)
        failed += not (run_atheris if guided else run_hypothesis)(name, options.minutes * 60)
    return 1 if failed else 0


def has_atheris() -> bool:
    """Install atheris if possible (it has wheels for Linux only); return whether it is available."""
    if importlib.util.find_spec("atheris") is None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "atheris"]
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
        importlib.invalidate_caches()
    return importlib.util.find_spec("atheris") is not None


def run_atheris(name: str, time_s: float) -> bool:
    """Fuzz in a child process, which a finding ends; return whether there was none."""
    with tempfile.TemporaryDirectory() as found:
        corpus = Path(found) / "corpus"
        corpus.mkdir()
        command = [sys.executable, __file__, "--one", name, str(corpus), str(FUZZ / "corpus" / name)]
        longest_bytes = LONGEST_BYTES.get(name, 4096)
        limits = [f"-max_total_time={time_s:.0f}", f"-max_len={longest_bytes}", f"-artifact_prefix={found}/"]
        command += [*limits, "-timeout=10", "-print_final_stats=1", "-verbosity=0"]
        ended = subprocess.run(command, check=False)
        for path in Path(found).glob("*-*"):
            keep(name, path.read_bytes())
    return ended.returncode == 0


def one_with_atheris(name: str, arguments: list[str]) -> None:
    import atheris

    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["chatcli"]):
        from fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def run_hypothesis(name: str, time_s: float) -> bool:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    sys.path.insert(0, str(TESTS))
    from fuzz.targets import TARGETS

    seeds = [path.read_bytes() for path in (FUZZ / "corpus" / name).iterdir()]
    chunks = st.binary(max_size=30) | st.sampled_from(
        sorted({line for seed in seeds for line in seed.split(b"\n")})
    )
    until_s, runs, last = time.monotonic() + time_s, 0, b""

    @settings(max_examples=1000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(chunks, max_size=30).map(b"\n".join))
    def examine(data: bytes) -> None:
        nonlocal runs, last
        runs, last = runs + 1, data
        TARGETS[name](data)

    try:
        while time.monotonic() < until_s:
            examine()
    except Exception as error:  # noqa: BLE001 - any failure is a finding
        keep(name, last)
        print(f"{name}: {error!r}")
        return False
    print(f"{name}: {runs:,} runs without a finding")
    return True


def keep(name: str, data: bytes) -> None:
    folder = FUZZ / "findings" / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:12]
    path.write_bytes(data)
    print(f"kept as {os.path.relpath(path)}")


if __name__ == "__main__":
    with writing():
        if sys.argv[1:2] == ["--one"]:
            one_with_atheris(sys.argv[2], sys.argv[3:])
        else:
            sys.exit(main())
