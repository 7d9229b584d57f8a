"""Percentiles of times that are spread over many distributions, compared with a sorted list."""

from __future__ import annotations

import random
from array import array
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.statistics import Percentiles
from chatcli.telemetry.tallies import Distribution, Times

HIGHEST = 2**32 - 1


def percentiles(values):
    ordered = sorted(values)
    return Percentiles(*(ordered[-(-len(ordered) * percent // 100) - 1] / 1000 for percent in (50, 95, 99)))


def assert_right(parts):
    """Add ``parts`` as a distribution each; every rank, count and percentile is that of all of them sorted."""
    times = Times()
    for part in parts:
        times.add(Distribution.of(part))
    ordered = sorted(chain.from_iterable(parts))
    assert times.count == len(ordered)
    assert times.percentiles() == (percentiles(ordered) if ordered else None)
    for rank in {1, len(ordered) // 3, len(ordered)} - {0} if ordered else ():
        assert times.of_rank(rank) == ordered[rank - 1]
    for value in {0, *ordered[:: len(ordered) // 5 + 1], HIGHEST}:
        assert times.count_below(value) == sum(each < value for each in ordered)


@given(st.lists(st.lists(st.integers(0, 30) | st.integers(0, HIGHEST), max_size=30), max_size=12))
def test_percentiles_of_few_times_are_those_of_a_sorted_list(parts):
    assert_right(parts)


@pytest.mark.parametrize("seed", range(12))
def test_percentiles_of_many_times_are_those_of_a_sorted_list(seed):
    """Some parts have few values that occur often, some hundreds that hardly do; there are enough to be joined on the way."""
    chance = random.Random(seed)
    parts = [
        [
            int(chance.lognormvariate(chance.choice((1, 8)), chance.random()))
            for _ in range(chance.choice(sizes))
        ]
        for sizes in [(1, 2, 5), (300,), (3_000,), (0, 40)]
        for _ in range(chance.choice((3, 300 if sizes[0] < 10 else 6)))
    ]
    assert_right(parts)


@given(st.lists(st.lists(st.integers(0, 9) | st.integers(0, HIGHEST), max_size=40), max_size=6))
def test_joined_distributions_are_that_of_all_values(parts):
    joined = Distribution.joined(map(Distribution.of, parts))
    every = sorted(chain.from_iterable(parts))
    assert joined.total == len(every)
    counts = [
        after - before for before, after in zip(joined.counts_up_to, joined.counts_up_to[1:], strict=False)
    ]
    assert [value for value, count in zip(joined.values, counts, strict=True) for _ in range(count)] == every


def test_a_value_that_occurs_often_is_kept_once():
    often = Distribution.of([7] * 1_000 + [9])
    assert often == Distribution(array("I", [7, 9]), array("I", [0, 1_000, 1_001]))
