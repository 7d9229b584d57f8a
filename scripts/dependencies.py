"""Pin what chatcli needs, and look for known vulnerabilities in it: ``dependencies.py lock|audit``.

``lock`` writes ``requirements/chat.txt`` and ``requirements/test.txt`` from ``pyproject.toml``: every package with its
version and the SHA-256 of each of its files, for all platforms and Python versions. ``scripts/setup.py`` installs
exactly these. ``lock --upgrade`` takes the newest versions that ``pyproject.toml`` allows.

``audit`` asks the package index which of the pinned versions have known vulnerabilities; it exits 1 if one has, or
if it could not find out. Both need the network.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from checkout import writing

ROOT: Final = Path(__file__).resolve().parent.parent
REQUIREMENTS: Final = ROOT / "requirements"
TOOLS: Final = ROOT / ".cache" / "dependency-tools"
NEEDED: Final = ("uv>=0.13,<0.14", "pip-audit>=2.10,<3")
PURPOSES: Final = {
    "chat": ("--extra", "local", "--extra", "schema", "--extra", "web", "--group", "build"),
    "test": ("--all-extras", "--group", "build", "--group", "dev"),
}
OLDEST_PYTHON: Final = "3.11"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    lock_parser = actions.add_parser("lock", help="write requirements/*.txt")
    lock_parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    actions.add_parser("audit", help="look for known vulnerabilities")
    options = parser.parse_args()
    try:
        with writing():
            return lock(upgrade=options.upgrade) if options.action == "lock" else audit()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"dependencies: {error}", file=sys.stderr)
        return 1


def lock(*, upgrade: bool) -> int:
    command = [tool("uv"), "pip", "compile", "--quiet", "--universal", "--python-version", OLDEST_PYTHON]
    command += [
        "--generate-hashes",
        "--no-header",
        "--no-emit-index-url",
        *(["--upgrade"] if upgrade else []),
    ]
    for purpose, wanted in PURPOSES.items():
        # The pins that are there already are kept unless they no longer fit.
        output = REQUIREMENTS / f"{purpose}.txt"
        if code := run([*command, *wanted, "pyproject.toml", "--output-file", str(output)]):
            return code
    return 0


def audit() -> int:
    command = [
        tool("pip-audit"),
        "--strict",
        "--require-hashes",
        "--disable-pip",
        "--progress-spinner",
        "off",
    ]
    return max(
        [run([*command, "--requirement", str(REQUIREMENTS / f"{purpose}.txt")]) for purpose in PURPOSES]
    )


def tool(name: str) -> str:
    """Return the path of a program, installed in an environment of its own on first use."""
    folder = TOOLS / ("Scripts" if os.name == "nt" else "bin")
    path = folder / (f"{name}.exe" if os.name == "nt" else name)
    if not path.exists():
        venv.create(TOOLS, with_pip=True, symlinks=os.name != "nt")
        subprocess.run([folder / "python", "-m", "pip", "install", "--quiet", *NEEDED], check=True)
    return str(path)


def run(command: list[str]) -> int:
    return subprocess.run(command, check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
