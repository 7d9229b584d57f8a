"""The readable text of HTML, extracted in a process of its own."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest

from chatcli.attachments.html_text import REQUIREMENT, html_text
from chatcli.core.errors import ConfigurationError, UsageError

WORDS = "This paragraph is long enough to be taken for the content of a page, and not for its menu. "
ARTICLE = f"""<!doctype html><html><head><title>Cats &amp; dogs</title><script>alert("no")</script></head><body>
<nav><a href="/">Home</a> <a href="/shop">Shop</a></nav><article><h2>On cats</h2><p>{WORDS * 3}</p>
<pre><code>purr()
purr()</code></pre><ul><li>claws</li><li>paws</li></ul>
<table><tr><th>name</th><th>age</th></tr><tr><td>Tom</td><td>3</td></tr></table>
<p hidden>hidden words</p><p style="color: red; DISPLAY : none">invisible words</p>
<div aria-hidden="true">words for machines</div><p>{WORDS * 2}</p></article>
<footer>Copyright of nobody</footer></body></html>"""


def environment(**changes):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    return {**kept, **changes}


async def read(html, *, executable=sys.executable, **how):
    how.setdefault("environment", environment())
    return await html_text(html, "host.example", executable=executable, **how)


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory):
    """Return a function that makes an interpreter which runs something before the module."""
    folder = tmp_path_factory.mktemp("interpreters")

    def make(name, program):
        path = folder / name
        path.write_text(f"#!{sys.executable}\nimport sys\n{program}\n", encoding="utf-8")
        path.chmod(0o700)
        return str(path)

    return make


async def test_the_text_is_markdown_without_menus_scripts_and_what_no_browser_shows():
    title, text = await read(ARTICLE)
    assert title == "Cats & dogs"
    assert text.startswith("## On cats\n")
    for part in (WORDS.strip(), "```\npurr()\npurr()\n```", "- claws\n- paws", "| Tom | 3 |"):
        assert part in text
    for word in ("Home", "Shop", "alert", "hidden", "invisible", "machines", "Copyright"):
        assert word not in text


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>just a fragment", (None, "just a fragment\n")),
        ("only words", (None, "only words\n")),
        ("<title>T</title><svg><title>not this</title></svg><p>ΑΒΓ 北京", ("T", "ΑΒΓ 北京\n")),
        ("<?xml version='1.0' encoding='latin1'?><html><body><p>déjà</p></body></html>", (None, "déjà\n")),
    ],
)
async def test_what_is_no_article_is_read_as_well(html, expected):
    assert await read(html) == expected


@pytest.mark.parametrize(
    "html", ["", " ", "<html><body></body></html>", "<div id=root></div><script>main()</script>", "<!--a-->"]
)
async def test_a_page_without_text_says_so(html):
    with pytest.raises(UsageError, match=r"host\.example has no readable text") as caught:
        await read(html)
    assert caught.value.hint


@pytest.mark.parametrize(
    "html",
    [
        *("<div>" * 20_000 + "x", "<table><tr><td>" * 3_000, "<" * 50_000, "<!--" * 20_000, "&" * 50_000),
        *("<a href='" * 10_000, "\x00\x01\x02" * 1_000, "\ud800<p>x", "<p>" + "<b>" * 10_000 + "x"),
    ],
    ids=["deep", "tables", "brackets", "comments", "ampersands", "quotes", "controls", "surrogate", "bold"],
)
async def test_a_hostile_page_is_text_or_an_error(html):
    try:
        _, text = await read(html)
    except UsageError:
        return
    text.encode()


@pytest.mark.skipif(sys.platform == "win32", reason="scripts of POSIX")
class TestProcess:
    async def test_it_has_no_keys_and_no_modules_of_the_folder(self, interpreter, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "trafilatura.py").write_text("raise SystemExit('taken over')", encoding="utf-8")
        (tmp_path / "chatcli.py").write_text("raise SystemExit('taken over')", encoding="utf-8")
        assert await read("<p>fine</p>") == (None, "fine\n")
        shows = interpreter(
            "shows", "import json, os\nprint(json.dumps({'title': None, 'text': str(sorted(os.environ))}))"
        )
        _, text = await read("", executable=shows, environment=environment(OPENAI_API_KEY="sk-here"))
        assert "PATH" in text
        assert "OPENAI_API_KEY" not in text

    async def test_one_that_hangs_is_ended(self, interpreter):
        hangs = interpreter("hangs", "import time\ntime.sleep(60)")
        with pytest.raises(UsageError, match=r"was not read within 0\.1 s"):
            await read("<p>", executable=hangs, timeout_s=0.1)

    async def test_one_that_dies_is_an_error(self, interpreter):
        for name, program in (("dies", "import os\nos._exit(9)"), ("babbles", "print('{')")):
            with pytest.raises(UsageError, match="is too large or too unusual to read"):
                await read("<p>" * 99_999, executable=interpreter(name, program))

    async def test_without_the_extra_the_hint_says_how_to_get_it(self, interpreter):
        bare = interpreter(
            "bare",
            "sys.modules['trafilatura'] = None\nfrom chatcli.attachments.html_text import main\nmain()",
        )
        with pytest.raises(ConfigurationError, match="needs an extra package") as caught:
            await read("<p>x", executable=bare)
        assert f'"{bare}" -m pip install "{REQUIREMENT}"' in caught.value.hint


def test_the_hint_names_what_the_extra_brings():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["optional-dependencies"]["web"] == [REQUIREMENT]
