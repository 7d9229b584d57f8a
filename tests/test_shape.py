"""The rules of the source's shape: each offence is found, what is allowed may only become less, and hops are counted."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import shape
import shape_hops

NOTHING = dict.fromkeys(shape.ALLOWED, frozenset())

TESTS = Path(__file__).parent

OF_THE_WHOLE_PROGRAM = ("e2e", "fuzz", "safety")

ACROSS_MODULES = {
    "client/test_early_connections.py": "connections that are opened before a request, by pool and transport",
    "client/test_model_contract.py": "what every ChatModel does",
    "config/test_key_endpoints.py": "each source of keys with each source of URLs",
    "conversation/strategies/test_every_strategy.py": "what every strategy does",
    "render/test_cell_screen.py": "a tool of the tests: a screen read cell by cell",
    "render/test_golden_screens.py": "a tool of the tests: the files of golden screens",
    "render/test_screens.py": "golden screens of whole answers",
    "sessions/test_golden.py": "golden files of the session format",
    "terminal/test_drawing.py": "the rows of the screen, whichever module draws them",
    "terminal/test_printed_screens.py": "golden screens of what is drawn besides answers",
    "test_architecture.py": "rules for the whole source",
    "test_checkout.py": "what scripts say in a checkout that cannot be written",
    "test_documents.py": "the documents",
    "test_requirements.py": "the pinned requirements",
    "test_shape.py": "the shape of the source",
}
"""Tests that belong to no single module, and why."""


@pytest.fixture
def package(tmp_path):
    """Return a function that writes files, by their path in a package ``house``, and reads the package."""

    def read(**files):
        return written({path.replace("__", "/") + ".py": text for path, text in files.items()})

    def written(files):
        folder = tmp_path / "house"
        for path, text in {"__init__.py": "", **files}.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), "utf-8")
        return shape.read_package(folder)

    read.files = written
    return read


def complaints(modules, **allowed):
    return shape.check(modules, NOTHING | allowed)


def test_the_source_breaks_no_rule_beyond_what_is_still_allowed():
    assert shape.check(shape.read_package(shape.PACKAGE), shape.ALLOWED) == []


def test_each_file_of_tests_is_called_like_the_module_it_tests():
    rooms = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    homeless = {
        path.as_posix()
        for path in rooms
        if path.parts[0] not in OF_THE_WHOLE_PROGRAM and not has_module(path)
    }
    assert homeless == set(ACROSS_MODULES)


def has_module(path: Path) -> bool:
    """Whether a file of tests, relative to the tests, stands where the module it is called like stands in the source."""
    module = shape.PACKAGE / path.parent / path.stem.removeprefix("test_")
    return module.with_suffix(".py").is_file() or module.is_dir()


def test_a_package_of_unlike_names_is_fine(package):
    importing = "from house.a import A\nclass {}(A): ..."
    assert complaints(package(a="class A: ...", b=importing.format("B"), c=importing.format("C"))) == []


def test_a_small_file_with_one_importer_is_found(package):
    (complaint,) = complaints(package(a="class A: ...", b="from house.a import A\nclass B(A): ..."))
    assert complaint == "a.py has under 40 lines and one importer: put it into b.py"


def test_a_class_name_that_occurs_in_two_files_is_found(package):
    (complaint,) = complaints(package(a="class Door: ...", b="if True:\n    class Door: ..."))
    assert complaint == "class Door is in a.py, b.py: rename all but one"


def test_a_class_that_each_platform_has_its_own_of_is_one_class(package):
    assert complaints(package(a="if True:\n    class Door: ...\nelse:\n    class Door: ...")) == []


def test_a_module_name_that_occurs_twice_is_found_and_a_package_is_a_module(package):
    modules = package.files({"up/door.py": "", "down/door.py": "", "up/__init__.py": "", "down/up.py": ""})
    assert complaints(modules) == [
        "modules called door: down/door.py, up/door.py: rename all but one",
        "modules called up: down/up.py, up/__init__.py: rename all but one",
    ]


def test_a_command_has_a_file_of_its_name_whatever_else_is_called_so(package):
    names = [
        "cli/commands/doors.py",
        "doors/__init__.py",
        "cli/commands/doors/show.py",
    ]
    assert complaints(package.files(dict.fromkeys(names, ""))) == []


@pytest.mark.parametrize(
    "back",
    [
        "from house import a",
        "import house.a",
        "from . import a",
        "from .a import x",
        "def later():\n    from house.a import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.a import x",
    ],
)
def test_a_cycle_is_found_however_it_is_closed(package, back):
    modules = package(a="from house.b import y\nx = 1", b="import house.c\ny = 1", c=back)
    assert shape.cycles(modules) == [["a.py", "b.py", "c.py"]]
    assert "import cycle: b.py > c.py > a.py > b.py: let one of them not know the other" in complaints(
        modules
    )


def test_two_ways_to_the_same_module_are_no_cycle(package):
    modules = package(a="from house import b, c", b="from house import d", c="from house import d", d="")
    assert shape.cycles(modules) == []


def test_a_module_that_is_too_long_is_found(package):
    longest = "x = 1\n" * shape.MODULE_LINES
    assert complaints(package(a=longest)) == []
    assert complaints(package(a=longest + "x = 1")) == ["a.py has 451 lines: split it (at most 450)"]


def test_a_function_that_is_too_long_is_found_with_the_class_it_is_in(package):
    body = "        pass\n" * (shape.FUNCTION_LINES - 1)
    assert complaints(package(a=f"class A:\n    @staticmethod\n    def f():\n{body}")) == []
    assert complaints(package(a=f"class A:\n    async def f():\n{body}        pass")) == [
        "a.py:A.f has 81 lines: split it (at most 80)"
    ]


def test_what_is_allowed_is_passed_over_and_nothing_else(package):
    modules = package(a="class A: ...\nclass B: ...", b="class A: ...\nclass B: ...")
    assert complaints(modules, **{"class name": frozenset({"A", "B"})}) == []
    assert [line.partition(" is")[0] for line in complaints(modules, **{"class name": {"A"}})] == ["class B"]


def test_what_is_allowed_and_breaks_no_rule_has_to_leave_the_list(package):
    assert complaints(package(a="class A: ..."), **{"class name": {"A"}}) == [
        "class name A: mended; take it out of ALLOWED in scripts/shape.py"
    ]


def test_lines_of_imports_count_whole_blocks_for_typing_and_each_line_once():
    tree = ast.parse(
        textwrap.dedent(
            """\
            import os
            from a import (
                b,
            )
            if TYPE_CHECKING:
                from c import d

                Alias = d
            def f():
                import e
            """
        )
    )
    assert shape.import_lines(tree) == {1, 2, 3, 4, 5, 6, 7, 8, 10}


def test_a_small_file_with_one_importer_is_named_unless_it_is_a_package_or_a_table(package):
    modules = package.files(
        {
            "small.py": "def f(): ...",
            "shared.py": "def f(): ...",
            "table.py": '"""Rows."""\nfrom typing import Final\nROWS: Final = {1: 2}\nCOLUMNS = 3',
            "large.py": "def f(): ...\n" * shape.SMALL_FILE_LINES,
            "room/__init__.py": "def f(): ...",
            "user.py": "from house import large, room, shared, small, table",
            "other.py": "from house import shared",
        }
    )
    assert shape.small_files(modules) == [("small.py", "user.py")]


def test_the_report_has_a_line_for_each_measure(package):
    text = "\n".join(shape.report(package(a="import os\nclass A: ...", b="from house.a import A\n\n\n")))
    assert "files                      3" in text
    assert "lines                      5" in text
    assert "imports                    40.0%" in text
    assert "  a.py < b.py" in text
    assert "import cycles              0" in text


HOUSE = {
    "parsing.py": "def parse(): ...",
    "asking.py": """
        from house.parsing import parse
        def ask(peer):
            from house import counted_before, sending
            parse()
            here()
            list(map(sending.twice, [1]))
            sending.send(peer)
            sending.twice(3)
        def here(): ...
        """,
    "sending.py": """
        from house.asking import here
        here()
        def twice(number):
            for _ in number_by_number():
                pass
        def number_by_number():
            yield 1
            yield 2
        def send(peer):
            here()
            peer.send(b"x")
        """,
    "counted_before.py": "",
}


def test_hops_are_entries_from_other_files_between_parsing_and_sending(tmp_path):
    for path, text in {"__init__.py": "", **HOUSE}.items():
        (tmp_path / "house").mkdir(exist_ok=True)
        (tmp_path / "house" / path).write_text(textwrap.dedent(text), "utf-8")
    # Entered from another file are `twice` (by map), `send` and `here`: three. Not counted are `here`
    # where it is called beside or while a module is imported, what goes on in a generator, and what follows the byte.
    assert counted(tmp_path) == ["3", "asking.py sending.py"]


def counted(folder: Path) -> list[str]:
    program = """
        import socket, sys
        from pathlib import Path
        sys.path[:0] = sys.argv[1:]
        import shape_hops
        from house import asking, parsing
        listener = socket.create_server(("127.0.0.1", 0))
        peer = socket.create_connection(listener.getsockname())
        package = Path(parsing.__file__).parent
        counter = shape_hops.HopCounter(package, parsing.parse.__code__, listener.getsockname()[1])
        sys.setprofile(counter)
        asking.ask(peer)
        sys.setprofile(None)
        print(counter.hops)
        print(*sorted(Path(file).name for file in counter.files))
        """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), folder, Path(shape_hops.__file__).parent],
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


def test_a_piped_question_stays_within_its_hops_and_files():
    counted = shape_hops.hops_of_a_piped_question()
    assert counted.hops <= shape_hops.MOST_HOPS
    assert counted.files <= shape_hops.MOST_FILES
    assert 10 < counted.files < counted.hops


def test_numbers_that_differ_are_reported_as_a_range():
    assert [shape_hops.spread(numbers) for numbers in ([3, 3], [5, 3, 4])] == ["3", "3 to 5"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo terminal of POSIX")
def test_a_question_in_the_repl_is_counted_from_enter_on():
    counted = shape_hops.hops_of_a_repl_question()
    assert 10 < counted.files < counted.hops
