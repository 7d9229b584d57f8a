"""Import what a package only passes on when it is asked for: the classes of openai, the shortcuts of prompt_toolkit.

``import openai`` executes nearly six hundred modules, four fifths of them definitions of requests and answers that the
program never needs: more than half of a short run. The packages below ``openai.types`` contain nothing but relative
imports (``from .batch import Batch as Batch``). So they need not be executed: their source says which module defines a
name, and the name is imported from there when it is asked for. So do ``openai.lib`` and its parser of structured answers,
and ``prompt_toolkit``, whose shortcuts are two dozen modules on the way to the prompt that nobody uses here.

No lock is needed. Importing a name twice gives the same object, and the modules that define them form no cycle, or are
imported from the same one on as ever, so that the interpreter's own locks suffice.

Until every name has been asked for, ``vars()`` of such a package is incomplete; ``dir()`` and ``import *`` are not. Both
execute it as usual. So does anything unexpected: a package written in another way, a name it does not import, a module that
cannot be imported on its own. If ``openai`` as a whole cannot be imported like this, it is imported anew without.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.machinery import PathFinder, SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.machinery import ModuleSpec

_OPENAI: Final = "openai"
_BELOW: Final = ("openai.types.", "openai.lib.")
_PROMPT_TOOLKIT: Final = "prompt_toolkit"
"""Defines its version as well, for which it is executed."""
_FIRST: Final = {_PROMPT_TOOLKIT: "application"}
"""The module that is imported before any other of a package whose modules import each other."""


def import_packages_on_first_use() -> None:
    """Do so for the rest of the process. Only for a process of one's own: a program's, not a library's."""
    if not {_OPENAI, _PROMPT_TOOLKIT} & sys.modules.keys():
        sys.meta_path.insert(0, _DeferringFinder())


class _DeferringFinder:
    """Finds ``openai`` and the packages that are deferred, and leaves every other module to the next finder."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in {_OPENAI, _PROMPT_TOOLKIT} and not f"{name}.".startswith(_BELOW):
            return None
        spec = PathFinder.find_spec(name, path)
        # A module of a package needs no other loader, and anything but a plain file may be executed in its own way.
        if spec and spec.submodule_search_locations and type(spec.loader) is SourceFileLoader:
            source = spec.loader.get_source(name) or ""
            if name == _OPENAI:
                spec.loader = _FallbackLoader(name, spec.loader.path)
            elif (modules := _modules_of_names(source, only_imports=name != _PROMPT_TOOLKIT)) is not None:
                spec.loader = _DeferringLoader(name, spec.loader.path, modules)
        return spec


class _FallbackLoader(SourceFileLoader):
    """Executes ``openai``, and does so without the finder if that fails with it."""

    def exec_module(self, module: ModuleType) -> None:
        try:
            super().exec_module(module)
        except Exception:  # noqa: BLE001 - whatever it is, it may be due to the finder
            sys.meta_path[:] = [
                finder for finder in sys.meta_path if not isinstance(finder, _DeferringFinder)
            ]
            for name in [name for name in sys.modules if name.startswith(f"{_OPENAI}.")]:
                del sys.modules[name]
            super().exec_module(module)


class _DeferringLoader(SourceFileLoader):
    """Creates a package that imports its names on first use. ``modules`` gives the module of each name."""

    def __init__(self, name: str, path: str, modules: Mapping[str, str]) -> None:
        super().__init__(name, path)
        self.modules = modules

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _DeferredPackage(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Leave the package as it is, but for the module that comes first."""
        if module.__name__ in _FIRST:
            import_module(f"{module.__name__}.{_FIRST[module.__name__]}")

    def execute(self, module: ModuleType) -> None:
        super().exec_module(module)


class _DeferredPackage(ModuleType):
    def __getattr__(self, name: str) -> Any:
        """Import a name that is not there yet: one that the package lists, or one of its modules."""
        namespace, loader = self.__dict__, cast("_DeferringLoader", self.__loader__)
        if (module := loader.modules.get(name)) is not None:
            try:
                namespace[name] = getattr(import_module(f"{self.__name__}.{module}"), name)
            except Exception:  # noqa: BLE001 - executed in its own order, it may succeed
                loader.execute(self)
        elif name in {"__all__", "__version__"}:
            # The first is asked for by ``import *``, which takes what there is if there is none.
            loader.execute(self)
        elif not name.startswith("__"):
            if PathFinder.find_spec(f"{self.__name__}.{name}", self.__path__):
                import_module(f"{self.__name__}.{name}")
            else:
                loader.execute(self)
        if name in namespace:
            return namespace[name]
        if "__getattr__" in namespace:
            return namespace["__getattr__"](name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)

    def __dir__(self) -> Iterable[str]:
        cast("_DeferringLoader", self.__loader__).execute(self)
        return super().__dir__()


_IMPORT: Final = r"^from \.(\w+) import (?:\(([^()]*)\)|([^()\n]*))$"
_NAME: Final = r"(\w+)(?: as \1)?"
_ALLOWED: Final = {"", "from __future__ import annotations"}


def _modules_of_names(source: str, *, only_imports: bool) -> Mapping[str, str] | None:
    """Return the module that a package imports each name from; ``None`` if it should do nothing else, and does."""
    rest = re.sub(_IMPORT, "", source, flags=re.MULTILINE)
    if only_imports and {line.partition("#")[0].strip() for line in rest.splitlines()} - _ALLOWED:
        return None
    modules: dict[str, str] = {}
    for module, several, one in re.findall(_IMPORT, source, re.MULTILINE):
        for each in (several.strip().removesuffix(",") or one).split(","):
            if (name := re.fullmatch(_NAME, each.strip())) is None:
                return None
            modules[name[1]] = module
    # A class would be hidden by a module of its name.
    return None if modules.keys() & set(modules.values()) else modules
