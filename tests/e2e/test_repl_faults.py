"""Every fault of the table in the REPL: afterwards the prompt is back and the next question is answered."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("a pseudo-terminal of POSIX", allow_module_level=True)

from e2e.faults import FAULTS, PARIS, Fault
from e2e.program import command, records_of
from e2e.pseudo_terminal import CTRL_D, on_terminal
from scripted_server import Answer, event_stream, json_answer, serving_in_thread

if TYPE_CHECKING:
    from scripted_server import ServedRequest

ENTER = "\r"
EMPTY = "\n>\n"
SETTINGS = {
    "CHATCLI_RETRIES": "1",
    "CHATCLI_RETRY_BUDGET_S": "30",
    "CHATCLI_TIMEOUT_S": "1",
    "CHATCLI_IDLE_TIMEOUT_S": "1",
    "CHATCLI_LARGEST_ANSWER_MB": "1",
    "CHATCLI_TEMPERATURE": "0.5",
}


class FaultyServer:
    """Misbehaves as the number in the question says, and answers every other question."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._faults = faults
        self._asked: Counter[str] = Counter()

    def __call__(self, request: ServedRequest) -> Answer:
        if request.method == "GET":
            return json_answer({"data": []})
        question = next(
            message["content"]
            for message in reversed(request.json["messages"])
            if message["content"].startswith(("fault", "next"))
        )
        what, number = question.split()[-2:]  # an earlier one that has no answer stands before it
        if what == "next":
            return Answer(event_stream(f"Fine again {number}."))
        answers = (*self._faults[int(number)].answers, PARIS)
        self._asked[question] += 1
        return answers[min(self._asked[question], len(answers)) - 1]


@pytest.mark.parametrize("group", dict.fromkeys(fault.group for fault in FAULTS))
def test_after_any_fault_the_prompt_is_back_and_the_next_turn_works(program, group):
    faults = tuple(fault for fault in FAULTS if fault.group == group)
    with (
        serving_in_thread(choose=FaultyServer(faults)) as server,
        on_terminal(
            command("-s", "trip"),
            environment=program.environment(server, **SETTINGS),
            folder=program.working_folder,
        ) as screen,
    ):
        screen.wait_for("Ctrl-D leaves")
        for number, fault in enumerate(faults):
            # Until the turn before is over, Enter only says that it has to be.
            screen.type(f"fault {number}")
            screen.wait_for(f"\n> fault {number}\n")
            screen.press_until(ENTER, EMPTY)
            screen.type(f"next {number}")
            screen.press_until(ENTER, f"Fine again {number}.")
            assert "Traceback" not in screen.shown, fault.name
        screen.type(CTRL_D)
        assert screen.wait_for_exit() == 0
    texts = [record["message"]["parts"][0]["text"] for record in questions(program)]
    asked = [[f"fault {number}", f"next {number}"] for number in range(len(faults))]
    assert texts == [text for pair in asked for text in pair]


def questions(program):
    (path,) = program.session_paths
    records = [record for record in records_of(path) if record["type"] == "message"]
    return [record for record in records if record["message"]["role"] == "user"]
