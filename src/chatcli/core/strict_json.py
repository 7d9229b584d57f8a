"""JSON as every reader of it takes it: no ``NaN``, no infinity, and no number that Python cannot hold or write."""

from __future__ import annotations

import json
import math
from typing import Final

_MOST_DIGITS: Final = 4_300
"""More take quadratic time, and Python refuses them
(https://docs.python.org/3/library/stdtypes.html#integer-string-conversion-length-limitation)."""
_LONGEST_SHOWN: Final = 20


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:_LONGEST_SHOWN]} is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits is too large")
    return int(digits)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no value of JSON")


STRICT_JSON: Final = json.JSONDecoder(parse_float=_finite, parse_int=_whole, parse_constant=_no_constant)
"""Its errors are ``ValueError``, a ``JSONDecodeError`` where the text is no JSON, and ``RecursionError``."""
