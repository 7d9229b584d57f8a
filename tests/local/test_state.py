from __future__ import annotations

from importlib.metadata import requires

from packaging.requirements import Requirement

from chatcli.local.engine import ENGINE_REQUIREMENT, EngineState, engine_state
from chatcli.local.state import local_state


async def test_the_state_tells_of_engine_weights_and_servers(weights_folder):
    state = await local_state(weights_folder, candidates=())
    assert state.engine.installed
    assert state.engine.version
    assert state.weights.size_bytes == 98_362_432
    assert state.servers == ()
    assert state.ready


async def test_without_weights_it_is_not_ready(tmp_path):
    assert not (await local_state(tmp_path, candidates=())).ready


def test_an_engine_that_is_not_installed_has_no_version():
    assert engine_state("an_engine_nobody_made") == EngineState(installed=False, version=None)


def test_the_requirement_told_is_the_one_of_the_extra():
    (extra,) = [line for line in requires("chatcli") or () if line.startswith("xllamacpp")]
    assert Requirement(extra).specifier == Requirement(ENGINE_REQUIREMENT).specifier
