from __future__ import annotations

from chatcli.text.hints import did_you_mean


def test_the_nearest_name_is_suggested():
    assert did_you_mean("modle", ["system", "model", "seed"]) == "did you mean model?"


def test_without_a_near_name_all_are_listed():
    assert did_you_mean("xyz", ["model", "seed"]) == "known: model, seed"


def test_without_any_name_that_is_said():
    assert did_you_mean("xyz", []) == "there are none"
