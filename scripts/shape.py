"""Report how the source is built: files, imports, lengths, names, cycles, and the hops of a question.

usage: scripts/shape [--check]

``--check`` reports only what breaks a rule, and fails if anything does: a class name or a module name that occurs twice,
an import cycle (imports for typing count), a module or a function that is too long.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACKAGE: Final = Path(__file__).resolve().parent.parent / "src" / "chatcli"

MODULE_LINES, FUNCTION_LINES = 450, 80
SMALL_FILE_LINES: Final = 40
SHOWN: Final = 8

COMMAND_FOLDER: Final = "cli/commands/"
"""A command's own file is called as it is typed, whatever else is called so."""

ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "class name": frozenset(),
    "module name": frozenset(),
    "cycle": frozenset(),
    "module length": frozenset(),
    "function length": frozenset(),
    "small file": frozenset(),
}
"""What broke a rule before there was one, by the rule. An entry that breaks it no longer has to leave."""


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    lines: int


@dataclass(frozen=True, slots=True)
class Module:
    """A file. ``path`` is relative to the package; ``name`` and ``imports`` are dotted, inside it."""

    path: str
    name: str
    lines: int
    import_lines: int
    imports: frozenset[str]
    classes: tuple[str, ...]
    functions: tuple[Function, ...]
    is_table: bool

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @property
    def is_of_a_command(self) -> bool:
        return self.path.startswith(COMMAND_FOLDER)


@dataclass(frozen=True, slots=True, order=True)
class Offence:
    """``rule`` is a key of ``ALLOWED``, ``name`` the entry for this offence."""

    rule: str
    name: str
    message: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/shape", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="report only what breaks a rule, and fail if anything does"
    )
    options = parser.parse_args()
    modules = read_package(PACKAGE)
    if options.check:
        complaints = check(modules, ALLOWED)
        for complaint in complaints:
            print(complaint, file=sys.stderr)
        return 1 if complaints else 0
    from shape_hops import hops_report

    show(report(modules))
    show(hops_report())
    return 0


def show(lines: Iterator[str]) -> None:
    for line in lines:
        print(line)


def read_package(folder: Path) -> list[Module]:
    """Read every module below ``folder``, the package itself."""
    paths = {dotted_name(path, folder): path for path in sorted(folder.rglob("*.py"))}
    return [read_module(name, path, folder, paths) for name, path in paths.items()]


def dotted_name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_module(name: str, path: Path, folder: Path, known: Mapping[str, Path]) -> Module:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return Module(
        path=path.relative_to(folder).as_posix(),
        name=name,
        lines=len(text.splitlines()),
        import_lines=len(import_lines(tree)),
        imports=frozenset(target for target in imported(tree, package, frozenset(known)) if target != name),
        classes=tuple(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)),
        functions=tuple(functions_of(tree)),
        is_table=all(is_of_a_table(node) for node in tree.body),
    )


def import_lines(tree: ast.Module) -> set[int]:
    """Return the line numbers of import statements, and of whole ``if TYPE_CHECKING:`` blocks."""
    return {
        number
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) or is_type_checking(node)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def imported(tree: ast.Module, package: str, known: frozenset[str]) -> Iterator[str]:
    """Yield the modules of ``known`` that are imported anywhere, also in functions and for typing.

    ``from a import b`` is an import of ``a.b`` where that is a module. The packages a module lies in do not
    count, though Python runs them first.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                target = f"{base}.{alias.name}"
                if target in known:
                    yield target
                elif base in known:
                    yield base


def functions_of(node: ast.AST, prefix: str = "") -> Iterator[Function]:
    """Yield every function and method with its dotted name; decorators do not count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield Function(name, (child.end_lineno or child.lineno) - child.lineno + 1)
            yield from functions_of(child, f"{name}.")
        else:
            yield from functions_of(child, prefix)


def is_of_a_table(node: ast.stmt) -> bool:
    """Whether a statement may be in a module that is only a table: no function and no class."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return (
        is_text
        or is_type_checking(node)
        or isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign)
    )


def check(modules: Sequence[Module], allowed: Mapping[str, frozenset[str]]) -> list[str]:
    """Return a line for each offence that is not allowed, and for each unused entry of ``allowed``."""
    found = list(offences(modules))
    new = [offence.message for offence in sorted(found) if offence.name not in allowed[offence.rule]]
    names = {(offence.rule, offence.name) for offence in found}
    mended = [
        f"{rule} {name}: mended; take it out of ALLOWED in scripts/shape.py"
        for rule in allowed
        for name in sorted(allowed[rule])
        if (rule, name) not in names
    ]
    return [*new, *mended]


def offences(modules: Sequence[Module]) -> Iterator[Offence]:
    for name, paths in classes_twice(modules).items():
        yield Offence("class name", name, f"class {name} is in {', '.join(paths)}: rename all but one")
    for name, paths in modules_twice(modules).items():
        yield Offence("module name", name, f"modules called {name}: {', '.join(paths)}: rename all but one")
    for group in cycles(modules):
        for path in group:
            loop = " > ".join(shortest_loop(path, modules))
            yield Offence("cycle", path, f"import cycle: {loop}: let one of them not know the other")
    for path, importer in small_files(modules):
        message = f"{path} has under {SMALL_FILE_LINES} lines and one importer: put it into {importer}"
        yield Offence("small file", path, message)
    for module in modules:
        if module.lines > MODULE_LINES:
            message = f"{module.path} has {module.lines} lines: split it (at most {MODULE_LINES})"
            yield Offence("module length", module.path, message)
        for function in module.functions:
            if function.lines > FUNCTION_LINES:
                name = f"{module.path}:{function.name}"
                message = f"{name} has {function.lines} lines: split it (at most {FUNCTION_LINES})"
                yield Offence("function length", name, message)


def classes_twice(modules: Sequence[Module]) -> dict[str, list[str]]:
    return occurring_twice((name, module.path) for module in modules for name in module.classes)


def modules_twice(modules: Sequence[Module]) -> dict[str, list[str]]:
    """Return names of modules and packages that occur twice, except for commands' files and packages."""
    return occurring_twice(
        (module.name.rpartition(".")[2], module.path) for module in modules if not module.is_of_a_command
    )


def occurring_twice(names: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    # Once per file: a class defined separately for each platform is one class.
    places = defaultdict(set)
    for name, path in names:
        places[name].add(path)
    return {name: sorted(paths) for name, paths in sorted(places.items()) if len(paths) > 1}


def cycles(modules: Sequence[Module]) -> list[list[str]]:
    """Return import cycles, direct or not, one list of paths for each (Tarjan)."""
    imports = {module.name: sorted(module.imports) for module in modules}
    paths = {module.name: module.path for module in modules}
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = lowest[name] = len(numbers)
        stack.append(name)
        for target in imports[name]:
            if target not in numbers:
                visit(target)
            if target in stack:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == numbers[name]:
            at = stack.index(name)
            groups.append(sorted(paths[member] for member in stack[at:]))
            del stack[at:]

    for name in imports:
        if name not in numbers:
            visit(name)
    return sorted(group for group in groups if len(group) > 1)


def shortest_loop(path: str, modules: Sequence[Module]) -> list[str]:
    """Return the paths from a module in a cycle back to itself, each importing the next."""
    by_name = {module.name: module for module in modules}
    start = next(module for module in modules if module.path == path)
    loops = [[start]]
    seen: set[str] = set()
    for loop in loops:
        for target in sorted(loop[-1].imports):
            if target == start.name:
                return [module.path for module in [*loop, start]]
            if target not in seen:
                seen.add(target)
                loops.append([*loop, by_name[target]])
    raise ValueError(f"{path} is in no cycle")


def small_files(modules: Sequence[Module]) -> list[tuple[str, str]]:
    """Return files of under 40 lines with one importer, and that importer; packages and tables are exempt."""
    importers = defaultdict(list)
    for module in modules:
        for target in module.imports:
            importers[target].append(module.path)
    return [
        (module.path, importers[module.name][0])
        for module in modules
        if module.lines < SMALL_FILE_LINES
        and len(importers[module.name]) == 1
        and not (module.is_package or module.is_table)
    ]


def report(modules: Sequence[Module]) -> Iterator[str]:
    lines = sum(module.lines for module in modules)
    share = sum(module.import_lines for module in modules) / max(lines, 1)
    small = small_files(modules)
    twice = {"class names": classes_twice(modules), "module names": modules_twice(modules)}
    groups = cycles(modules)
    yield f"files                      {len(modules)}"
    yield f"lines                      {lines}"
    yield f"imports                    {share:.1%} of the lines"
    of_commands = sum(path.startswith(COMMAND_FOLDER) for path, _ in small)
    yield (
        f"small, with one importer   {len(small)}, {of_commands} of them a command's own"
        f" (under {SMALL_FILE_LINES} lines; packages and tables aside)"
    )
    yield from (f"  {path} < {importer}" for path, importer in small)
    yield f"longest modules            (at most {MODULE_LINES} lines)"
    longest = sorted(modules, key=lambda module: -module.lines)
    yield from (f"  {module.lines:4} {module.path}" for module in longest[:SHOWN])
    yield f"longest functions          (at most {FUNCTION_LINES} lines)"
    functions = [(function, module) for module in modules for function in module.functions]
    functions.sort(key=lambda pair: -pair[0].lines)
    yield from (
        f"  {function.lines:4} {module.path}:{function.name}" for function, module in functions[:SHOWN]
    )
    for what, places in twice.items():
        yield f"{what + ' twice':26} {len(places)}"
        yield from (f"  {name}: {', '.join(paths)}" for name, paths in places.items())
    yield f"import cycles              {len(groups)}, of {sum(map(len, groups))} files"
    yield from (f"  {', '.join(group)}" for group in groups)


if __name__ == "__main__":
    sys.exit(main())
