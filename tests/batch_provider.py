"""A small real batch API on loopback: files up, batches, files down, with whatever outcome a test wants."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripted_server import Answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripted_server import ServedRequest


def answered(line: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a request that is answered with its last message in angle brackets."""
    text = f"<{line['body']['messages'][-1]['content']}>"
    body = {
        "object": "chat.completion",
        "model": line["body"]["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }
    response = {"status_code": 200, "request_id": "q", "body": body}
    return {"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}


def refused(line: dict[str, Any], message: str = "no", status: int = 400) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "q", "body": {"error": {"message": message}}}
    return {"id": "x", "custom_id": line["custom_id"], "response": response, "error": None}


def expired(line: dict[str, Any]) -> dict[str, Any]:
    error = {"code": "batch_expired", "message": "This request could not be executed in time."}
    return {"id": "x", "custom_id": line["custom_id"], "response": None, "error": error}


@dataclass
class BatchProvider:
    """Its ``choose`` is for ``scripted_server``.

    A batch has the ``statuses`` one after the other, the last one for ever. ``outcome`` makes the result of a line, ``None``
    for none. ``problem`` is the error of a whole batch. ``uploads`` are the lines of each file. It lists two batches a page.
    """

    statuses: tuple[str, ...] = ("completed",)
    outcome: Callable[[dict[str, Any]], dict[str, Any] | None] = answered
    problem: str | None = None
    uploads: list[list[dict[str, Any]]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0

    def choose(self, request: ServedRequest) -> Answer:
        path = request.path.removeprefix("/v1/")
        if request.method == "POST" and path == "files":
            return self._upload(request)
        if request.method == "GET" and path.partition("?")[0] == "batches":
            return self._list(path.partition("after=batch-")[2].partition("&")[0])
        if request.method == "POST" and path == "batches":
            self.batches.append(request.json)
            return json_answer({"id": f"batch-{len(self.batches) - 1}", "status": "validating"})
        if path.startswith("batches/"):
            return self._state(int(path.rpartition("-")[2]))
        if path.endswith("/content"):
            return self._content(path.split("/")[1])
        return json_answer({"error": {"message": "no such path"}}, status=404)

    def _upload(self, request: ServedRequest) -> Answer:
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        parts = request.body.split(b"--" + boundary)
        content = next(part for part in parts if b'name="file"' in part.partition(b"\r\n\r\n")[0])
        lines = content.partition(b"\r\n\r\n")[2].strip().splitlines()
        self.uploads.append([json.loads(line) for line in lines])
        return json_answer({"id": f"file-{len(self.uploads) - 1}", "object": "file"})

    def _list(self, after: str) -> Answer:
        newest_first = list(reversed(range(int(after) if after else len(self.batches))))
        page = [{"id": f"batch-{number}", **self.batches[number]} for number in newest_first[:2]]
        return json_answer({"object": "list", "data": page, "has_more": len(newest_first) > len(page)})

    def _state(self, number: int) -> Answer:
        status = self.statuses[min(self.asked, len(self.statuses) - 1)]
        self.asked += 1
        number = int(self.batches[number]["input_file_id"].rpartition("-")[2])
        lines = self.uploads[number]
        is_over = status in ("completed", "failed", "expired", "cancelled")
        good, bad = self._results(number) if is_over else ([], [])
        state: dict[str, Any] = {
            "id": f"batch-{number}",
            "status": status,
            "request_counts": {"total": len(lines), "completed": len(good), "failed": len(bad)},
        }
        if is_over and self.problem is None:
            state |= {"output_file_id": f"out-{number}", "error_file_id": f"err-{number}"}
        if self.problem is not None:
            state["errors"] = {"data": [{"message": self.problem}]}
        return json_answer(state)

    def _content(self, file: str) -> Answer:
        kind, _, number = file.partition("-")
        good, bad = self._results(int(number))
        chosen = good if kind == "out" else bad
        content = "".join(json.dumps(result) + "\n" for result in reversed(chosen)).encode()
        return Answer([content[:7], content[7:]], 200, {"content-type": "application/octet-stream"})

    def _results(self, number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the results of a file: the answers, and the others."""
        if self.problem is not None:
            return [], []
        results = [result for line in self.uploads[number] if (result := self.outcome(line)) is not None]
        good = [result for result in results if (result["response"] or {}).get("status_code") == 200]
        return good, [result for result in results if result not in good]
