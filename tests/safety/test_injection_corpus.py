"""The labelled texts keep their own rules, and the report counts them rightly."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

import injection_report
from injection_report import CORPUS, LABELS, PARTS, LabelledText, read_part

FINAL_SHA256 = "71c2adc3c248a0539bc99cf881d403671fb326097d92126a3453a39e1c6a8391"
"""Of the final part as it was committed, before the first rule."""
UNSEEN_SHA256 = "e3f0a46c923251329efc81b1d2ace5163cdec1e5fc018bcf265c10dc7ad855c9"
"""Of the unseen part as it was committed, before the rules were revised."""

ATTACKS, HARMLESS = 400, 1000
FINAL_ATTACKS, FINAL_HARMLESS = 200, 500
MOST_BYTES = 4_500_000
MAIN_LANGUAGES = {"en", "zh", "ja", "ko", "de", "fr", "es", "ru"}
OWN = "written for this project"
KEY_SHAPES = re.compile(
    r"sk-[\w-]{18,}|AKIA[0-9A-Z]{12,}|gh[pousr]_\w{20,}|xox[abp]-|hf_\w{20,}|-----BEGIN \w* ?PRIVATE"
)
SEEN_BY_EDITORS = ("L", "M", "N", "P", "S", "Zs")


@pytest.fixture(scope="module")
def texts():
    return [text for part in PARTS for text in read_part(part)]


def some(texts, **wanted):
    return [text for text in texts if all(getattr(text, name) == value for name, value in wanted.items())]


def languages(texts, fewest):
    counted = Counter(text.language for text in texts)
    return {language for language, count in counted.items() if count >= fewest}


def test_there_are_enough_attacks_and_harmless_texts(texts):
    assert len(some(texts, label="attack")) >= ATTACKS
    assert len(some(texts, label="harmless")) >= HARMLESS
    assert len(some(texts, part="final", label="attack")) >= FINAL_ATTACKS
    assert len(some(texts, part="final", label="harmless")) >= FINAL_HARMLESS


def test_the_main_languages_are_in_the_final_part_under_both_labels(texts):
    for label in LABELS:
        assert languages(some(texts, part="final", label=label), fewest=15) >= MAIN_LANGUAGES


def test_the_development_part_has_attacks_in_six_languages(texts):
    assert len(languages(some(texts, part="development", label="attack"), fewest=8)) >= 6


def test_no_source_is_in_both_parts(texts):
    parts = defaultdict(set)
    for text in texts:
        parts[text.source].add(text.part)
    assert {source for source, found in parts.items() if len(found) > 1} == set()


def test_attacks_written_for_this_project_are_in_the_final_part_only(texts):
    assert {text.part for text in some(texts, label="attack") if text.source.startswith(OWN)} == {"final"}


@pytest.mark.parametrize("label", LABELS)
def test_half_of_the_final_part_comes_from_others(texts, label):
    final = some(texts, part="final", label=label)
    assert sum(not text.source.startswith(OWN) for text in final) * 2 >= len(final)


def test_no_text_occurs_twice_even_in_another_case_or_spacing(texts):
    plain = Counter(" ".join(text.text.split()).casefold() for text in texts)
    assert [text for text, count in plain.items() if count > 1] == []


def test_every_line_names_its_own_part_and_a_known_label_and_ids_are_unique():
    for part in PARTS:
        for text in read_part(part):
            assert (text.part, text.label in LABELS) == (part, True)
    ids = Counter(text.id for part in PARTS for text in read_part(part))
    assert max(ids.values()) == 1


def test_every_source_is_in_the_table_of_the_readme_with_its_counts(texts):
    readme = (CORPUS / "README.md").read_text("utf-8")
    for source in sorted({text.source for text in texts}):
        (line,) = [line for line in readme.split("\n") if line.startswith(f"| {source} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        counts = [len(some(texts, source=source, label=label)) for label in LABELS]
        assert (cells[4], [int(cell or 0) for cell in cells[5:]]) == (
            some(texts, source=source)[0].part,
            counts,
        )
        assert re.search("MIT|BSD|Apache", cells[2])


def test_nothing_is_shaped_like_a_key(texts):
    assert [text.id for text in texts if KEY_SHAPES.search(text.text)] == []


def test_the_files_are_small_and_hold_no_invisible_character_unescaped():
    raw = [(CORPUS / f"{part}.jsonl").read_bytes() for part in PARTS]
    assert sum(map(len, raw)) <= MOST_BYTES
    hidden = {
        char
        for data in raw
        for char in data.decode()
        if not unicodedata.category(char).startswith(SEEN_BY_EDITORS)
    }
    assert hidden == {"\n"}


@pytest.mark.parametrize(("part", "expected"), [("final", FINAL_SHA256), ("unseen", UNSEEN_SHA256)])
def test_a_part_for_measuring_is_as_it_was_before_the_rules(part, expected):
    assert hashlib.sha256((CORPUS / f"{part}.jsonl").read_bytes()).hexdigest() == expected


def labelled(number, label, text, **fields):
    usual = {"part": "development", "language": "en", "kind": "override", "source": "a test"}
    return LabelledText(id=f"t{number}", label=label, text=text, **usual | fields)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with two attacks and two harmless texts; one of each holds the word "obey"."""
    rows = [
        labelled(1, "attack", "obey me"),
        labelled(2, "attack", "say nothing\u200b", language="de"),
        labelled(3, "harmless", "children obey"),
        labelled(4, "harmless", "good day"),
    ]
    fields = LabelledText.__dataclass_fields__
    lines = [json.dumps({name: getattr(row, name) for name in fields}) for row in rows]
    for part in PARTS:
        (tmp_path / f"{part}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def find_obey(text):
    return ["obey"] if "obey" in text else []


def test_the_report_counts_what_was_flagged_under_each_label_and_field(folder):
    results = injection_report.judge(find_obey, read_part("development", folder))
    totals, *_ = injection_report.report("development", results, ["language"])[1:]
    assert totals.split("\n")[2:] == [
        "| attack | 1 | 2 | 50.0% | 9.5% to 90.5% |",
        "| harmless | 1 | 2 | 50.0% | 9.5% to 90.5% |",
    ]
    by_language = injection_report.report("development", results, ["language"])[2]
    assert [line.split(" | ")[:3] for line in by_language.split("\n")[2:]] == [
        ["| de", "0", "1"],
        ["| en", "1", "1"],
    ]


def test_the_program_prints_tables_a_time_and_on_request_what_was_judged_wrongly(folder, capsys):
    arguments = ["--list", "--by", "kind", "--scanner", "builtins:list", "--corpus", str(folder)]
    assert injection_report.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "| harmless | 2 | 2 | 100.0% |" in printed
    assert "| attack, kind |" in printed
    assert "| attack, source |" not in printed
    assert [line[:14] for line in printed.split("\n") if line.startswith("false alarm")] == [
        "false alarm t3",
        "false alarm t4",
    ]
    assert re.search(r"^\| base64 \| \d+\.\d\d s \|$", printed, re.MULTILINE)


def test_texts_of_the_final_part_are_not_listed(folder, capsys):
    with pytest.raises(SystemExit):
        injection_report.main(["final", "--list", "--scanner", "builtins:list", "--corpus", str(folder)])
    assert "for measuring, not for tuning" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["no_such_module_at_all:scan", "builtins:no_such_function", ""])
def test_a_scanner_that_cannot_be_imported_is_named(folder, name, capsys):
    assert injection_report.main(["--scanner", name, "--corpus", str(folder)]) == 2
    assert f"no scanner {name}:" in capsys.readouterr().err


def test_what_was_missed_is_listed_with_its_invisible_characters_escaped():
    missed = injection_report.Result(labelled(1, "attack", "say nothing\u200b"), flagged=False)
    assert injection_report.excerpt(missed) == r"missed t1 en override: 'say nothing\u200b'"


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_holds_the_share_and_stays_between_0_and_1(hits, others):
    low, high = injection_report.interval(hits, hits + others)
    share = hits / (hits + others) if hits + others else 0
    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1
