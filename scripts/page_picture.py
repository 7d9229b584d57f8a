"""Draw a picture of the page of statistics: make up calls, have the program write the page, and look at it in Chromium.

usage: python scripts/page_picture.py OUT.png [--dark] [--columns N] [--rows N]

``--columns`` and ``--rows`` are pixels. ``scripts/pictures`` makes the pictures of the documents.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from checkout import writing

from chatcli.core.call_records import CANCELLED, OK, CallRecord
from chatcli.telemetry.call_store import FILE_NAME, CallStore

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DAYS = 14
BAD_DAY = 8
SATURDAY = 5
DAY_S = 86_400
MODELS = (
    ("gpt-5-mini", "api.openai.com", 0.52, 1.9),
    ("claude-sonnet-4-5", "api.anthropic.com", 0.27, 2.6),
    ("qwen3-max", "dashscope.aliyuncs.com", 0.14, 2.2),
    ("mistral-small-latest", "api.mistral.ai", 0.07, 1.4),
)
"""Names, endpoints, shares of the calls, and usual latencies in seconds."""

sys.path.append(str(ROOT / "tests"))


def main() -> int:
    from e2e.browser import CHROMIUM, browser

    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--columns", type=int, default=1200)
    parser.add_argument("--rows", type=int, default=1210)
    options = parser.parse_args()
    if CHROMIUM is None:
        print("this picture needs chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        page = statistics_page(Path(name))
        with browser(Path(name) / "browser") as window:
            window.open(page, columns=options.columns, scheme="dark" if options.dark else "light")
            clip = {"x": 0, "y": 0, "width": options.columns, "height": options.rows, "scale": 1}
            shot = window.do("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    options.out.write_bytes(base64.b64decode(shot["data"]))
    return 0


def statistics_page(folder: Path) -> Path:
    """Return the page that the program writes of made-up calls."""
    environment = {**os.environ, **folder_with_calls(folder)}
    page = folder / "page.html"
    command = [ROOT / ".venv/bin/chatcli", "stats", "--since", f"{DAYS}d", "--html", "--out", page]
    subprocess.run(command, env=environment, check=True)
    return page


def folder_with_calls(folder: Path) -> dict[str, str]:
    """Store made-up calls in ``folder``, and return the variables that lead the program there."""
    with closing(CallStore(folder / FILE_NAME)) as store:
        store.append(list(made_up_calls(time.time())))
    return dict.fromkeys(("CHATCLI_CONFIG_DIR", "CHATCLI_CACHE_DIR", "CHATCLI_DATA_DIR"), str(folder))


def made_up_calls(now_s: float) -> Iterator[CallRecord]:
    """Yield the calls of a person who works on weekdays, and of a provider that has one bad day."""
    chance = random.Random(21)
    for day in range(DAYS):
        start_s = now_s - (DAYS - day) * DAY_S
        is_weekend = time.localtime(start_s + DAY_S / 2).tm_wday >= SATURDAY
        is_bad = day == BAD_DAY
        for _ in range(chance.randint(4, 14) if is_weekend else chance.randint(45, 95)):
            model, endpoint, _, usual_s = chance.choices(MODELS, [share for _, _, share, _ in MODELS])[0]
            latency_s = usual_s * chance.lognormvariate(0.45 if is_bad else 0, 0.55)
            tokens = chance.randint(300, 6_000)
            outcome = chance.choices(
                (OK, CANCELLED, "rate_limited", "timed_out"), (95, 2, 9, 4) if is_bad else (95, 2, 1.5, 0.6)
            )[0]
            failed = outcome not in {OK, CANCELLED}
            yield CallRecord(
                start_s + chance.random() * DAY_S,
                endpoint,
                model,
                outcome=outcome,
                attempts=3 if failed else chance.choices((1, 2), (30, 1))[0],
                retry_wait_s=7.5 if failed else 0.0,
                ttft_s=None if failed else latency_s * chance.uniform(0.12, 0.3),
                latency_s=latency_s,
                input_tokens=tokens,
                cached_tokens=tokens // 3,
                output_tokens=0 if failed else round(latency_s * chance.uniform(45, 75)),
                cost_usd=0.0 if failed else tokens * chance.uniform(0.4, 1.6) / 1e6,
            )
        for _ in range(chance.randint(0, 6)):
            yield CallRecord(
                start_s + chance.random() * DAY_S, "api.openai.com", "gpt-5-mini", is_cache_hit=True
            )


if __name__ == "__main__":
    with writing():
        raise SystemExit(main())
