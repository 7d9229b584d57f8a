"""Build a release, check it, and sign it off: ``release.py 1.2.0 [--dry-run]``. docs/releasing.md has the checklist.

Every check is done, and all that fail are listed. Then, unless it is a dry run, ``dist/`` gets the wheel, the source
archive and ``SHA256SUMS``; with ``--key`` the sums are signed by ``ssh-keygen``, and the commit gets a signed tag.
Nothing is uploaded: publishing is a person's act.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
LARGEST_WHEEL_BYTES: Final = 8_000_000
NOT_IN_A_WHEEL: Final = ("tests/", "docs/", "scripts/", "__pycache__", ".env")
IN_THE_SOURCES: Final = (
    "LICENSE",
    "SECURITY.md",
    "README.md",
    "CHANGELOG.md",
    "pyproject.toml",
    "requirements/chat.txt",
)
MACHINE_PATHS: Final = tuple(f"{path}{os.sep}".encode() for path in (ROOT, Path.home()))


@dataclass(frozen=True)
class Release:
    version: str
    folder: Path
    """Where the built files are."""

    @property
    def wheel(self) -> Path:
        return self.folder / f"chatcli-{self.version}-py3-none-any.whl"

    @property
    def sources(self) -> Path:
        return self.folder / f"chatcli-{self.version}.tar.gz"


class Unfit(Exception):
    """The release must not be published, for the reason given."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("version", help="the version, such as 1.2.0")
    parser.add_argument(
        "--dry-run", action="store_true", help="build and check in a temporary folder; leave no trace"
    )
    parser.add_argument("--key", type=Path, help="an SSH key that signs SHA256SUMS and the tag")
    parser.add_argument("--skip", action="append", default=[], choices=[*CHECKS], help="leave out a check")
    options = parser.parse_args()
    if not VERSION.fullmatch(options.version):
        parser.error(f"{options.version} is no version: write it as 1.2.0 or 1.2.0rc1")
    if options.skip and not options.dry_run:
        parser.error("only a dry run may leave out a check")
    with tempfile.TemporaryDirectory(prefix="chatcli-release-") as temporary:
        release = Release(options.version, Path(temporary, "dist"))
        failures = failed_checks(release, options.skip)
        if failures:
            print(f"\nnot fit for release: {', '.join(failures)}", file=sys.stderr)
            return 1
        if options.dry_run:
            print(
                f"\nchatcli {options.version} is fit for release. Dry run: nothing was kept, signed or tagged."
            )
            return 0
        sign_off(release, options.key)
    return 0


def failed_checks(release: Release, skipped: list[str]) -> list[str]:
    failures = []
    for name, check in CHECKS.items():
        if name in skipped:
            print(f"--   {name}: left out")
            continue
        try:
            print(f"ok   {name}: {check(release)}", flush=True)
        except (Unfit, OSError, subprocess.SubprocessError) as error:
            print(f"no   {name}: {error}", flush=True)
            failures.append(name)
    return failures


def check_version(release: Release) -> str:
    source = (ROOT / "src/chatcli/core/version.py").read_text("utf-8")
    if f'"{release.version}"' not in source:
        raise Unfit(f"core/version.py does not say {release.version}")
    return f"core/version.py says {release.version}"


def check_changelog(release: Release) -> str:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    section = re.search(
        rf"^## \[{re.escape(release.version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## \[|\Z)",
        text,
        re.MULTILINE | re.DOTALL,
    )
    if section is None or not section[1].strip():
        raise Unfit(f"CHANGELOG.md has no section ## [{release.version}] - DATE")
    return "CHANGELOG.md has its section"


def check_tree(_release: Release) -> str:
    if changes := output("git", "status", "--porcelain").strip():
        raise Unfit(f"uncommitted changes: {changes.splitlines()[0].strip()} …")
    return f"nothing uncommitted at {output('git', 'rev-parse', '--short', 'HEAD').strip()}"


def check_pins(_release: Release) -> str:
    run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_requirements.py")
    return "requirements/ fits pyproject.toml"


def check_audit(_release: Release) -> str:
    run(sys.executable, "scripts/dependencies.py", "audit")
    return "no known vulnerability in the pinned requirements"


def check_tests(_release: Release) -> str:
    run("scripts/test", "--slow")
    return "scripts/test --slow passed"


def check_build(release: Release) -> str:
    """Build twice: the same commit must give the same bytes."""
    for folder in (release.folder, release.folder.with_name("again")):
        build(folder)
    for path in (release.wheel, release.sources):
        if not path.exists():
            raise Unfit(f"{path.name} was not built")
        if sha256(path) != sha256(path.parent.with_name("again") / path.name):
            raise Unfit(f"{path.name} differs from one build to the next")
    return f"{release.wheel.name} ({release.wheel.stat().st_size / 1e6:.1f} MB), the same twice"


def check_contents(release: Release) -> str:
    if release.wheel.stat().st_size > LARGEST_WHEEL_BYTES:
        raise Unfit(f"{release.wheel.name} is larger than {LARGEST_WHEEL_BYTES / 1e6:.0f} MB")
    with zipfile.ZipFile(release.wheel) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    for name, content in files.items():
        if any(part in name for part in NOT_IN_A_WHEEL):
            raise Unfit(f"{name} does not belong in the wheel")
        if found := next((path for path in MACHINE_PATHS if path in content), None):
            raise Unfit(f"{name} names a path of this machine: {found.decode()}")
    (metadata,) = (text for name, text in files.items() if name.endswith(".dist-info/METADATA"))
    if (said := email.message_from_bytes(metadata)["Version"]) != release.version:
        raise Unfit(f"the wheel says it is version {said}")
    with tarfile.open(release.sources) as sources:
        names = {name.partition("/")[2] for name in sources.getnames()}
    if missing := [name for name in IN_THE_SOURCES if name not in names]:
        raise Unfit(f"the source archive lacks {', '.join(missing)}")
    return f"{len(files)} files in the wheel, {len(names)} in the sources"


def check_installed(release: Release) -> str:
    """Install the wheel with the pinned requirements into an empty environment, and run it."""
    folder = release.folder.with_name("environment")
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = (str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "--requirement", str(ROOT / "requirements/chat.txt"))
    run(*pip, "--no-deps", str(release.wheel))
    said = output(str(programs / "chatcli"), "--version").strip()
    if said != f"chatcli {release.version}":
        raise Unfit(f"the installed program says {said!r}")
    run(str(programs / "python"), "-m", "pip", "check")
    return f"installed with the pinned requirements, says {said}"


CHECKS: Final[dict[str, Callable[[Release], str]]] = {
    "version": check_version,
    "changelog": check_changelog,
    "tree": check_tree,
    "pins": check_pins,
    "audit": check_audit,
    "tests": check_tests,
    "build": check_build,
    "contents": check_contents,
    "installed": check_installed,
}


def build(folder: Path) -> None:
    # From a clean checkout: what git does not know must not slip in.
    with tempfile.TemporaryDirectory(prefix="chatcli-build-") as temporary:
        run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), temporary)
        epoch = output("git", "log", "-1", "--format=%ct").strip()
        environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
        run(
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "-d",
            str(folder),
            cwd=Path(temporary),
            env=environment,
        )


def sign_off(release: Release, key: Path | None) -> None:
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    built = [path.replace(dist / path.name) for path in (release.wheel, release.sources)]
    sums = dist / "SHA256SUMS"
    sums.write_text("".join(sum_lines(built)), "utf-8")
    print(f"\n{sums.read_text('utf-8')}")
    if key is None:
        print("No --key: nothing is signed or tagged.")
        return
    run("ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", "file", str(sums))
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}")
    run("git", *signing, "tag", "--sign", f"v{release.version}", "--message", f"chatcli {release.version}")
    print(f"Signed dist/SHA256SUMS, and tagged v{release.version}. docs/releasing.md says how to publish it.")


def sum_lines(paths: list[Path]) -> Iterator[str]:
    return (f"{sha256(path)}  {path.name}\n" for path in paths)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(*command: str, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no output"]
        raise Unfit(
            f"{Path(command[0]).name} {' '.join(command[1:4])} … failed ({done.returncode}): {last[0]}"
        )


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
