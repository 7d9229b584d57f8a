"""Train the weights by which the scanner judges sentences, from the development texts in tests/safety/corpus.

Of an attack only its likeliest sentence is taken for an order, found anew in each round; every sentence of a harmless
text is none. One-line attacks are trained on both alone and inside a harmless text. Words count only if many sources
use them. The same texts give the same weights.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import zlib
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatcli.safety.classifier import FEWEST_MEANINGS, Classifier, features
from chatcli.safety.meanings import SIGNS, sentences
from chatcli.safety.readings import read
from injection_report import CORPUS, LabelledText, read_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WEIGHTS: Final = Path(__file__).resolve().parent.parent / "src" / "chatcli" / "safety" / "weights.txt"
HEAD: Final = (
    "# Written by scripts/train_injection.py: a weight, and the features that have it. Trained on {digest}\n"
)
OWN: Final = ("chatcli, tuning", "written for this project (development)")
"""Sources that are never set apart in cross-validation."""

FEWEST_SOURCES: Final = 7
FEWEST_SENTENCES: Final = 4
ROUNDS: Final = 3
STEPS: Final = 40
STIFFNESS: Final = 20.0
"""How strongly weights are held near 0."""
OTHER_SENTENCE: Final = 0.5
"""What a further sentence of an attack counts that looks like an order, too."""
SCALE: Final = 25
THRESHOLD: Final = 2
MOST_CARRIER_CHARS: Final = 2_500
MOST_LINE_CHARS: Final = 500
PASSING: Final = 0.998
"""The share of orders that the meanings alone have to let through."""
BIAS: Final = ""
"""The name of the feature that every sentence has."""

MOST_MOVES: Final = 8
MOST_MARGIN: Final = 30.0
ENOUGH: Final = 1e-4
SHORTEST: Final = 1e-6
FLAT: Final = 1e-5
"""Bounds of the search for the weights."""


Move = tuple[list[float], list[float], float]
"""How far the weights moved, how much the slope changed by it, and the product of both."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence: its features, its meanings, and whether it may be the order of its text."""

    text: int
    names: tuple[str, ...]
    mask: int
    may_be_order: bool


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/train_injection.py", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--folds",
        type=int,
        default=0,
        metavar="N",
        help="only cross-validate, over so many groups of sources",
    )
    options = parser.parse_args(arguments)
    texts = embedded(read_part("development"))
    found = list(candidates(texts))
    if options.folds:
        cross_validate(texts, found, options.folds)
        return 0
    weights = trained(texts, found)
    rounded = {name: round(weight * SCALE) for name, weight in weights.items()}
    scores = Classifier(
        {name: weight for name, weight in rounded.items() if name != BIAS}, threshold=0, promise=0
    )
    threshold = THRESHOLD - rounded[BIAS]
    passing = sorted(
        scores.promise(each.mask & ~SIGNS)
        for each in found
        if each.may_be_order and sum(rounded.get(name, 0) for name in each.names) > threshold
    )
    promise = passing[round(len(passing) * (1 - PASSING))]
    WEIGHTS.write_text(HEAD.format(digest=digest()) + table(rounded, threshold, promise), "utf-8")
    return 0


def digest() -> str:
    """Return the SHA-256 of the texts that the weights come from."""
    return hashlib.sha256((CORPUS / "development.jsonl").read_bytes()).hexdigest()


def embedded(texts: Sequence[LabelledText]) -> list[tuple[LabelledText, str | None]]:
    """Return the texts, every second one-line attack inside a harmless text, with the line that was put there."""
    carriers = defaultdict(list)
    for text in texts:
        if text.label == "harmless" and len(text.text) <= MOST_CARRIER_CHARS:
            carriers[text.language].append(text.text)
    result: list[tuple[LabelledText, str | None]] = []
    for text in texts:
        number = zlib.crc32(text.id.encode())
        is_line = text.label == "attack" and len(text.text) < MOST_LINE_CHARS and "\n" not in text.text
        if not is_line or number % 2 or text.language not in carriers:
            result.append((text, None))
            continue
        carrier = carriers[text.language][number // 2 % len(carriers[text.language])]
        paragraphs = carrier.split("\n\n" if "\n\n" in carrier else "\n")
        line = text.text if number // 3 % 5 else f"<!-- {text.text} -->"
        paragraphs.insert(number // 5 % (len(paragraphs) + 1), line)
        fields = {name: getattr(text, name) for name in LabelledText.__dataclass_fields__}
        result.append((LabelledText(**fields | {"text": "\n\n".join(paragraphs)}), text.text))
    return result


def candidates(texts: Sequence[tuple[LabelledText, str | None]]) -> Iterator[Candidate]:
    for at, (text, line) in enumerate(texts):
        order = None if line is None else " ".join(read(line).text.split())
        for sentence in sentences(read(text.text).text, lambda mask: mask.bit_count() >= FEWEST_MEANINGS):
            part = " ".join(sentence.text.split())
            is_inside = order is None or part in order or order[:40] in part
            yield Candidate(
                at,
                (*sorted(set(features(sentence))), BIAS),
                sentence.mask,
                text.label == "attack" and is_inside,
            )


def trained(texts: Sequence[tuple[LabelledText, str | None]], found: Sequence[Candidate]) -> dict[str, float]:
    """Return a weight for each feature that is frequent enough."""
    count = Counter(name for each in found for name in each.names)
    sources = defaultdict(set)
    for each in found:
        for name in each.names:
            if name[:1] in ("=", "^"):
                sources[name].add(texts[each.text][0].source)
    names = sorted(
        name
        for name, times in count.items()
        if times >= FEWEST_SENTENCES and (name not in sources or len(sources[name]) >= FEWEST_SOURCES)
    )
    index = {name: at for at, name in enumerate(names)}
    rows = [[index[name] for name in each.names if name in index] for each in found]
    in_text = Counter(each.text for each in found if each.may_be_order)
    shares = [1 / in_text[each.text] if each.may_be_order else 1.0 for each in found]
    weights = [0.0] * len(names)
    for _ in range(ROUNDS):
        weights = fitted(rows, [each.may_be_order for each in found], shares, weights)
        scores = [sum(weights[at] for at in row) for row in rows]
        best: dict[int, float] = {}
        for each, score in zip(found, scores, strict=True):
            if each.may_be_order:
                best[each.text] = max(score, best.get(each.text, score))
        shares = [
            1.0 if not each.may_be_order or score >= best[each.text] else OTHER_SENTENCE if score > 0 else 0.0
            for each, score in zip(found, scores, strict=True)
        ]
    return dict(zip(names, weights, strict=True))


def fitted(
    rows: Sequence[Sequence[int]], labels: Sequence[bool], shares: Sequence[float], start: Sequence[float]
) -> list[float]:
    """Return the weights of a logistic regression, found by the method of limited-memory BFGS."""
    used = [
        (row, 1.0 if label else -1.0, share)
        for row, label, share in zip(rows, labels, shares, strict=True)
        if share
    ]
    weights = list(start)
    value, slope = loss(used, weights)
    history: deque[Move] = deque(maxlen=MOST_MOVES)
    for _ in range(STEPS):
        direction = downhill(history, slope)
        length = 1.0 if history else 1 / math.sqrt(_dot(slope, slope))
        fall = _dot(slope, direction)
        while True:
            after = [each + length * other for each, other in zip(weights, direction, strict=True)]
            reached, turned = loss(used, after)
            if reached <= value + ENOUGH * length * fall or length < SHORTEST:
                break
            length /= 2
        moved = [each - other for each, other in zip(after, weights, strict=True)]
        bent = [each - other for each, other in zip(turned, slope, strict=True)]
        curve = _dot(moved, bent)
        if curve > 0:
            history.append((moved, bent, curve))
        is_flat = value - reached < FLAT * value
        weights, value, slope = after, reached, turned
        if is_flat:
            break
    return weights


def loss(
    used: Sequence[tuple[Sequence[int], float, float]], weights: Sequence[float]
) -> tuple[float, list[float]]:
    """Return the loss of some weights and its slope."""
    total = STIFFNESS / 2 * _dot(weights, weights)
    slope = [STIFFNESS * weight for weight in weights]
    for row, sign, share in used:
        margin = max(-MOST_MARGIN, min(MOST_MARGIN, sign * sum([weights[at] for at in row])))
        total += share * math.log1p(math.exp(-margin))
        step = -sign * share / (1 + math.exp(margin))
        for at in row:
            slope[at] += step
    return total, slope


def downhill(history: Sequence[Move], slope: Sequence[float]) -> list[float]:
    """Return the direction in which the loss falls best, by the last moves."""
    direction = [-each for each in slope]
    parts = []
    for moved, bent, curve in reversed(history):
        part = _dot(moved, direction) / curve
        parts.append(part)
        direction = [each - part * other for each, other in zip(direction, bent, strict=True)]
    if history:
        _, bent, curve = history[-1]
        scale = curve / _dot(bent, bent)
        direction = [scale * each for each in direction]
    for (moved, bent, curve), part in zip(history, reversed(parts), strict=True):
        rest = part - _dot(bent, direction) / curve
        direction = [each + rest * other for each, other in zip(direction, moved, strict=True)]
    return direction


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def table(weights: dict[str, int], threshold: int, promise: int) -> str:
    by_weight = defaultdict(list)
    for name, weight in sorted(weights.items()):
        if weight and name != BIAS:
            by_weight[weight].append(name)
    lines = [f"threshold\t{threshold}", f"promise\t{promise}"]
    lines += ["\t".join([str(weight), *names]) for weight, names in sorted(by_weight.items())]
    return "\n".join(lines) + "\n"


def cross_validate(
    texts: Sequence[tuple[LabelledText, str | None]], found: Sequence[Candidate], folds: int
) -> None:
    """Print how many attacks are found, and how many harmless texts flagged, in sources that were not trained on."""
    best: dict[int, float] = {}
    group = {
        at: zlib.crc32(text.source.encode()) % folds
        for at, (text, _) in enumerate(texts)
        if text.source not in OWN
    }
    for fold in range(folds):
        weights = trained(texts, [each for each in found if group.get(each.text) != fold])
        for each in found:
            if group.get(each.text) == fold:
                score = SCALE * sum(weights.get(name, 0.0) for name in each.names)
                best[each.text] = max(score, best.get(each.text, score))
    print("threshold: attacks found, false alarms")
    for threshold in range(-30, 60, 5):
        shares = [
            sum(best.get(at, -math.inf) > threshold for at in some) / len(some)
            for some in (
                [at for at in group if texts[at][0].label == label] for label in ("attack", "harmless")
            )
        ]
        print(f"{threshold:4}: {shares[0]:.1%}, {shares[1]:.2%}")


if __name__ == "__main__":
    sys.exit(main())
