from __future__ import annotations

from contextlib import aclosing

import pytest

from chatcli.core.errors import ConfigurationError, LocalIOError
from chatcli.doctor.checks import CHECKS, Check, examine
from chatcli.doctor.examination import Examination, Status, ok, problem


def check(name, *findings, needs=(), error=None):
    async def look(_examination):
        if error is not None:
            raise error
        return findings

    return Check(name, look, needs)


async def findings_of(examination, checks):
    async with aclosing(examine(examination, checks)) as found:
        return [finding async for finding in found]


async def test_what_needs_a_check_that_failed_is_skipped_and_so_is_what_needs_that(examination):
    checks = [
        check("dns", problem("dns", "no")),
        check("connect", ok("connect", "yes"), needs=("dns",)),
        check("tls", ok("tls", "yes"), needs=("connect",)),
        check("folders", ok("folders", "yes")),
    ]
    found = await findings_of(examination(), checks)
    assert [(one.name, one.status, one.text) for one in found] == [
        ("dns", Status.PROBLEM, "no"),
        ("connect", Status.SKIPPED, "needs dns"),
        ("tls", Status.SKIPPED, "needs connect"),
        ("folders", Status.OK, "yes"),
    ]


async def test_an_error_of_a_check_is_a_problem_and_ends_only_that_check(examination):
    checks = [
        check("folders", error=LocalIOError("cannot look", hint="chmod it")),
        check("dns", ok("dns", "yes")),
    ]
    broken, fine = await findings_of(examination(), checks)
    assert (broken.name, broken.status, broken.text, broken.hint) == (
        "folders",
        Status.PROBLEM,
        "cannot look",
        "chmod it",
    )
    assert fine.status is Status.OK


async def test_findings_come_while_later_checks_are_still_to_be_made(examination):
    made = []

    async def look(_examination):
        made.append("second")
        return [ok("second", "yes")]

    async with aclosing(
        examine(examination(), [check("first", ok("first", "yes")), Check("second", look)])
    ) as found:
        assert (await anext(found)).name == "first"
        assert made == []


async def test_without_settings_only_what_needs_none_is_looked_at(examination):
    given = examination()
    broken = Examination(
        given.context, given.terminal, error=ConfigurationError("config.toml is torn", hint="mend it")
    )
    found = await findings_of(broken, CHECKS)
    assert {one.name for one in found} == {
        "versions",
        "terminal",
        "folders",
        "sessions",
        "config",
        "standing",
    }
    (config,) = [one for one in found if one.name == "config"]
    assert (config.status, config.text, config.hint) == (Status.PROBLEM, "config.toml is torn", "mend it")


@pytest.mark.parametrize("name", [one.name for one in CHECKS])
def test_every_name_fits_its_column(name):
    assert len(name) <= 8


def test_every_check_needs_only_earlier_ones():
    names = [one.name for one in CHECKS]
    assert all(names.index(need) < names.index(one.name) for one in CHECKS for need in one.needs)
