from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.color import ColorSystem as Colors

from chatcli.render.themes import PALETTES, nearest_of_256, rgb_of_256, theme

BACKGROUNDS = {"dark": ("1e1e1e", "000000"), "light": ("ffffff", "fdf6e3")}
LINES = {"quote.bar", "rule", "border", "label"}
"""Roles of what is not read as text, for which less contrast is enough (WCAG 2.2, 1.4.11)."""

ALIKE = {"remark", "finding.ok", "finding.warning", "finding.problem", "finding.skipped"}
"""Roles of what is written where the background is unknown, in no colours but the terminal's own."""

SYSTEMS = ("standard", "256", "truecolor")


def luminance(rgb):
    # https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in rgb)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    # https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("system", ["truecolor", "256"])
@pytest.mark.parametrize("name", ["dark", "light"])
def test_every_role_stands_out_from_the_usual_backgrounds(name, system):
    too_weak = {
        (role, background): round(contrast(color, bytes.fromhex(background)), 2)
        for role, style in theme(name, system).styles.styles.items()
        for background in BACKGROUNDS[name]
        if style.color is not None
        and not style.color.is_system_defined
        and (color := style.color.get_truecolor())
        and contrast(color, bytes.fromhex(background)) < (3 if role in LINES else 4.5)
    }
    assert not too_weak


@pytest.mark.parametrize(
    ("name", "unsuitable"),
    [
        ("dark", {"blue", "black", "bright_black"}),
        ("light", {"yellow", "white", "green", "cyan", "bright_yellow", "bright_white", "bright_black"}),
    ],
)
def test_of_sixteen_colours_only_those_are_used_that_suit_the_background(name, unsuitable):
    used = {word for role, _, few in PALETTES[name] if role not in ALIKE for word in few.split()}
    assert not used & unsuitable
    assert not [word for word in used if word.startswith("#")]


def test_both_palettes_have_the_same_roles():
    dark, light = ([role for role, _, _ in PALETTES[name]] for name in ("dark", "light"))
    assert dark == light
    assert len(set(dark)) == len(dark)


def test_what_is_written_on_any_background_looks_the_same_with_both_palettes():
    for role in ALIKE:
        looks = {theme(name, system).style((role,)) for name in PALETTES for system in SYSTEMS}
        assert len(looks) == 1
        (look,) = looks
        assert look.color is None or look.color.is_system_defined


@pytest.mark.parametrize(
    ("system", "painted"),
    [
        ("standard", "\x1b[1;36mTitle\x1b[0m"),
        ("256", "\x1b[1;38;5;117mTitle\x1b[0m"),
        ("truecolor", "\x1b[1;38;2;140;200;255mTitle\x1b[0m"),
    ],
)
def test_a_style_is_brought_down_to_the_colours_there_are(system, painted):
    assert theme("dark", system).paint("Title", "heading1") == painted


@pytest.mark.parametrize("system", SYSTEMS)
def test_of_several_roles_all_count(system):
    look = theme("dark", system)
    both, link = look.style(("strong", "link")), look.style(("link",))
    assert (both.bold, both.underline, both.color) == (True, True, link.color)
    assert look.style(("link", "code")).color == look.style(("code",)).color


@pytest.mark.parametrize("system", [None, *SYSTEMS])
@pytest.mark.parametrize(("text", "roles"), [("", ["link"]), ("x", []), ("x", ["no such role"])])
def test_where_nothing_applies_the_text_stays_as_it_is(system, text, roles):
    assert theme("light", system).paint(text, *roles) == text


@pytest.mark.parametrize("name", ["dark", "light"])
def test_without_colours_there_is_no_escape_sequence(name):
    plain = theme(name, None)
    assert not plain.links
    assert all(plain.paint("x", role) == "x" for role, _, _ in PALETTES[name])


def test_styles_of_one_kind_of_terminal_are_not_reused_for_another():
    drawn = [theme("dark", system).segment("x", "heading1").style.render("x") for system in SYSTEMS * 2]
    assert len(set(drawn)) == len(SYSTEMS)


def test_rich_is_not_loaded_before_something_is_painted():
    loads = "import sys, chatcli.render.themes; sys.exit('rich.color' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], check=False).returncode == 0


@given(st.binary(min_size=3, max_size=3))
def test_of_256_colours_the_nearest_is_the_one_that_rich_takes(rgb):
    number = nearest_of_256(f"#{rgb.hex()}")
    assert number == Color.parse(f"#{rgb.hex()}").downgrade(Colors.EIGHT_BIT).number
    assert rgb_of_256(number) == Color.from_ansi(number).get_truecolor().hex


@pytest.mark.parametrize(
    "address", ["https://a.example/\x1b\\", "https://a.example/ b", "https://a.example/\u202e"]
)
def test_an_address_that_could_end_the_link_command_is_none(address):
    look = theme("dark", "256")
    assert look.paint_link("text", address, "remark") == look.paint("text", "remark")
    assert look.paint_link("text", "https://a.example/", "remark").startswith(
        "\x1b]8;;https://a.example/\x1b\\"
    )
    assert theme("dark", None).paint_link("text", "https://a.example/", "remark") == "text"
