"""README and guides hold what they say: links lead somewhere, and what a reader is told to type is there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatcli.cli.commands import COMMANDS_BY_NAME, actions_of
from chatcli.cli.options import Parser, add_general_options, main_parser
from chatcli.cli.shell_completion.grammar import read_levels
from chatcli.repl.commands import COMMAND_GROUPS

ROOT = Path(__file__).resolve().parent.parent
READMES = ROOT / "README.md", ROOT / "README.zh-CN.md"
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
MANUAL_PAGE = ROOT / "docs" / "reference" / "chatcli.1"
PICTURES = ROOT / "docs" / "pictures"
DOCUMENTS = [*READMES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"')
_CODE_BLOCK = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
_SLASH_COMMAND = re.compile(r"/[a-z]+")


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


def links(document: Path) -> Iterator[str]:
    for match in _LINK.finditer(_CODE_BLOCK.sub("", document.read_text("utf-8"))):
        target = match[1] or match[2]
        if not target.startswith(("http://", "https://")):
            yield target


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", _CODE_BLOCK.sub("", document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def typed(document: Path) -> Iterator[str]:
    """Yield the commands that a reader may type: lines of code blocks and code in the text that begin with chatcli."""
    text = document.read_text("utf-8")
    lines = [line for block in _CODE_BLOCK.findall(text) for line in block.splitlines()]
    for code in [*lines, *_CODE.findall(_CODE_BLOCK.sub("", text))]:
        for part in re.split(r"\||\s#\s|\$\(|<\(|\)", code):
            if words := re.fullmatch(r"[\s$]*chatcli( .*)?", part):
                yield re.sub(r"\"[^\"]*\"|'[^']*'", "TEXT", words[1] or "")


def options_of(words: list[str]) -> set[str]:
    """Return the options that a command line of ``words`` may have: those of its command and action, or of a prompt."""
    command = COMMANDS_BY_NAME.get(words[0]) if words else None
    if command is None or command.is_reserved:
        parser = main_parser("")
    else:
        module = command.module()
        actions = actions_of(module)
        parser = Parser(add_help=False)
        next((actions[word] for word in words[1:] if word in actions), module).add_arguments(parser)
        add_general_options(parser)
    return {option for action in parser._actions for option in action.option_strings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_both_readmes_lead_to_the_same_documents() -> None:
    english, chinese = ({link.partition("#")[0] for link in links(readme)} for readme in READMES)
    names = {readme.name for readme in READMES}
    assert english - names == chinese - names


@pytest.mark.parametrize("document", [*READMES, *GUIDES], ids=named)
def test_every_command_and_option_a_reader_may_type_is_there(document: Path) -> None:
    for command in typed(document):
        assert set(_OPTION.findall(command.partition(" -- ")[0])) <= options_of(command.split()), command


@pytest.mark.parametrize("document", [*READMES, *GUIDES], ids=named)
def test_every_slash_command_of_a_document_is_there(document: Path) -> None:
    commands = [command for _, group in COMMAND_GROUPS for command in group]
    known = {f"/{name}" for command in commands for name in (command.name, *command.aliases)}
    known |= {f"/{template.stem}" for template in (ROOT / "src/chatcli/templates/shipped").iterdir()}
    named_here = {
        word
        for code in _CODE.findall(_CODE_BLOCK.sub("", document.read_text("utf-8")))
        if (word := code.split()[0]) and _SLASH_COMMAND.fullmatch(word)
    }
    assert named_here <= known


def test_nothing_sends_a_reader_to_the_package_of_another_project() -> None:
    """On PyPI the name belongs to somebody else: an extra is installed from the checkout."""
    code = sorted((ROOT / "src").rglob("*.py"))
    told = re.compile(r"""install ['"`]?chatcli['"`\[]""")
    for path in [*DOCUMENTS, ROOT / "CHANGELOG.md", *code]:
        assert told.search(path.read_text(encoding="utf-8")) is None, path


def test_the_manual_page_names_every_option_and_command() -> None:
    page = MANUAL_PAGE.read_text("ascii").replace(r"\-", "-")
    for level in read_levels():
        assert {
            name for option in level.options for name in option.names if rf"\fB{name}\fP" not in page
        } == set()
        assert level.path.rpartition(" ")[2] in page
    assert r"\fB--local\fP \fI[NAME]\fP" in page, "its value may be left out"


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_the_manual_page_is_laid_out_without_a_warning() -> None:
    command = ["groff", "-man", "-ww", "-Tutf8", MANUAL_PAGE]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True)
    assert done.stderr == ""
    assert "one answer" in done.stdout


def test_every_picture_is_shown_and_can_be_remade() -> None:
    shown = {(document.parent / link).resolve() for document in DOCUMENTS for link in links(document)}
    pictures = sorted([*PICTURES.glob("*.svg"), *PICTURES.glob("*.png")])
    assert pictures
    assert [picture for picture in pictures if picture not in shown] == []
    remade = (ROOT / "scripts" / "pictures").read_text("utf-8")
    for steps in PICTURES.glob("*.steps"):
        assert steps.stem in remade or (steps.stem.startswith("first-") and steps.stem[6:] in remade)
