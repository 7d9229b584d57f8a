"""The pinned requirements: what the set-up installs is what ``pyproject.toml`` asks for, file by file."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
GROUPS = PROJECT["dependency-groups"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
WANTED = {
    "chat": [*PROJECT["project"]["dependencies"], *EXTRAS["local"], *EXTRAS["web"], *GROUPS["build"]],
    "test": [
        *PROJECT["project"]["dependencies"],
        *(one for extra in EXTRAS.values() for one in extra),
        *GROUPS["build"],
        *GROUPS["dev"],
    ],
}


def blocks(purpose):
    """Return the pins of a file, each with the lines that belong to it."""
    text = (ROOT / "requirements" / f"{purpose}.txt").read_text("utf-8")
    return re.split(r"\n(?=[a-z0-9])", text)


@pytest.mark.parametrize("purpose", WANTED)
def test_every_requirement_is_pinned_to_a_version_that_is_allowed(purpose):
    pins = {}
    for block in blocks(purpose):
        pin = Requirement(block.split(" \\\n")[0])
        (version,) = pin.specifier
        assert version.operator == "=="
        pins.setdefault(canonicalize_name(pin.name), []).append(version.version)
    for wanted in map(Requirement, WANTED[purpose]):
        found = pins.get(canonicalize_name(wanted.name), [])
        assert found, f"{wanted} is not pinned: run scripts/dependencies lock"
        assert all(wanted.specifier.contains(version) for version in found), f"{wanted}: pinned {found}"


@pytest.mark.parametrize("purpose", WANTED)
def test_every_pin_has_the_hashes_of_its_files_and_names_no_server(purpose):
    for block in blocks(purpose):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block), block.splitlines()[0]
        assert "://" not in block


def test_what_both_purposes_need_has_the_same_pins():
    pins = {purpose: {block.split()[0] for block in blocks(purpose)} for purpose in WANTED}
    assert pins["chat"] <= pins["test"]
