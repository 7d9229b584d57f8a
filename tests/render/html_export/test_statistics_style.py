from __future__ import annotations

import re

import pytest

from chatcli.render.html_export.statistics_style import statistics_style
from render.test_themes import contrast

TEXTS = {"text", "faint", "link"}
GRAPHICS = {"one", "two", "three", "ok", "failed", "stopped", "ground"}
DARK = "@media screen and (prefers-color-scheme: dark) {"


def colors(scheme):
    """Return the colours by their names, in one scheme: those of dark screens replace those of light ones."""
    style = statistics_style()
    dark = "".join(re.findall(rf"{re.escape(DARK)}\n(:root.*?)\n}}", style, re.DOTALL))
    light = re.sub(r"@media[^{]*{\n:root.*?\n}", "", style, flags=re.DOTALL)
    read = re.compile(r"--(\w+): #([0-9a-f]{6})\b")
    return dict(read.findall(light)) | (dict(read.findall(dark)) if scheme == "dark" else {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_graphics_stand_out_from_the_page(scheme):
    by_name = {name: bytes.fromhex(color) for name, color in colors(scheme).items()}
    too_weak = {
        (name, ground): round(contrast(by_name[name], by_name[ground]), 2)
        for names, least in ((TEXTS, 4.5), (GRAPHICS, 3))
        for name in names
        for ground in ("page", "box")
        if contrast(by_name[name], by_name[ground]) < least
    }
    assert too_weak == {}


def test_both_schemes_have_colours_of_their_own():
    light, dark = colors("light"), colors("dark")
    assert set(light) == set(dark)
    assert all(light[name] != dark[name] for name in TEXTS | GRAPHICS)


def test_lines_differ_by_their_dashes():
    dashes = dict(re.findall(r"\.line\.(\w+) {[^}]*stroke-dasharray: ([^;]+);", statistics_style()))
    assert set(dashes) == {"two", "three"}
    assert len(set(dashes.values())) == 2
