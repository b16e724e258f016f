"""Private modules: each runtime has its own copy of the application's modules.

They are registered in sys.modules under names that belong to one runtime: the
module "app" of runtime 7 is "app@7", and so is its __name__. All else is the
import system's, which imports "app@7.sub" once, under its lock, and removes it
when it fails. Here is what "app" means to a runtime and how "app@7" is found
and loaded; _imports.py brings the two together.

The application's modules are those outside the standard library and installed
packages, and the package that the runtime's entry is in. Extension modules,
modules without source and those in zip files are shared.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import itertools
import os
import re
import sys
import threading
from importlib.machinery import (
    ExtensionFileLoader,
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Iterable, Match, Sequence
from weakref import WeakValueDictionary

from resty_ffi import _code

MARK = "__resty_ffi__"
"""In a private module's globals: its Modules."""

_STDLIB = f"{Path(os.__file__).parent}/"

_SITES = ("/site-packages/", "/dist-packages/")

_numbers = itertools.count(1)

_owners: WeakValueDictionary[str, Modules] = WeakValueDictionary()
"""By private top-level name."""

private_names: set[str] = set()
"""Top-level names that are private in some runtime, past ones included."""

_extensions: dict[str, ModuleType] = {}
"""By path: extension modules of the application. Few can be loaded twice."""

_extensions_lock = threading.RLock()

# Taken before _imports.install() replaces it.
_import_module = importlib.import_module


class Modules:
    """The private modules of one runtime, and what its names mean."""

    def __init__(self, entry: str, folder: str | None, fresh: bool, tq: int = 0) -> None:
        """entry is the module to be loaded: its top-level package is private
        wherever it is. folder is searched before sys.path. fresh: every file
        is read from disk once more. tq is the runtime's queue."""
        self.tq = tq
        self.entry = entry
        self.fresh = fresh
        self._folder = folder
        self._number = next(_numbers)
        self._names = {name: name for name in ("__main__", "resty_ffi")}
        self._known: dict[str, str] = {}
        self._is_dropped = False
        self._dropped: dict[str, ModuleType] = {}

    def load(self) -> ModuleType:
        """The entry's module. Raises what importing it raises."""
        if self.fresh:
            importlib.invalidate_caches()
        return _import_module(self.translate(self.entry))

    def drop(self) -> bool:
        """Takes the modules out of sys.modules. Whether there were any.

        They are not cleared, as threads may still run their code, and even
        import more of them: what that leaves behind goes with the next drop.
        """
        self._is_dropped = True
        for name in list(sys.modules):
            modules = owner(name)
            if modules is not None and modules._is_dropped and name in sys.modules:
                modules._dropped[name] = sys.modules.pop(name)
        return bool(self._dropped)

    def translate(self, name: str) -> str:
        """The name in sys.modules of what this runtime calls by that name."""
        top, dot, rest = name.partition(".")
        return (self._names.get(top) or self._decide(top)) + dot + rest

    def translate_for_shared(self, name: str) -> str:
        """As translate(), for a shared module's code: what all runtimes share
        goes first, since they share what that code binds the name to."""
        top = name.partition(".")[0]
        if self.translate(top) == top or top in sys.modules:
            return name
        found = _search(top, None)
        if found is not None and not self._is_private(top, found):
            return name
        return self.translate(name)

    def known(self, name: str) -> str:
        """As translate(), for a name that need not be a module's."""
        top, dot, rest = name.partition(".")
        private = self._names.get(top) or self._known.get(top)
        if private is None:
            private = self._known[top] = self._decide(top)
        return private + dot + rest

    def clean(self, text: str) -> str:
        """Text for people, who know "app" and not "app@7"."""
        mark = f"@{self._number}"
        if mark not in text:
            return text

        def plain(match: Match[str]) -> str:
            return match[1] if self._names.get(match[1]) == match[0] else match[0]

        return re.sub(rf"(\w+){mark}(?!\d)", plain, text)

    def find_spec(self, name: str, path: Sequence[str] | None, again: bool) -> Any:
        """The spec of a private name; None when nothing is found.

        again: for reload(), which has the code run once more.
        """
        if name in self._dropped and not again:
            return getattr(self._dropped[name], "__spec__", None)

        plain = self.clean(name)
        if path is None:
            return self._own(name, plain, self._search(plain))
        return self._own(name, plain, _search(name, path))

    def _own(self, name: str, plain: str, found: ModuleSpec | None) -> ModuleSpec | None:
        """What was found, as it is to be loaded under the private name."""
        if found is None:
            return None

        loader: Any = None
        if isinstance(found.loader, SourceFileLoader) and self._is_private(name, found):
            loader = _PrivateLoader(name, found.loader, self)
        elif isinstance(found.loader, (ExtensionFileLoader, SourcelessFileLoader)):
            return _alias(name, _load_extension(plain, found))
        elif not _is_namespace(found):
            return _alias(name, _import_module(plain))

        spec = ModuleSpec(name, loader, origin=found.origin)
        spec.has_location = found.has_location
        spec.submodule_search_locations = found.submodule_search_locations
        return spec

    def _decide(self, top: str) -> str:
        """The private name, or the name itself where modules are shared."""
        if owner(top) is not None:
            return top

        found = self._search(top)
        if found is None:
            return top

        private = top
        if self._is_private(top, found) or self._is_in_folder(found):
            private = f"{top}@{self._number}"
            private_names.add(top)
            _owners[private] = self
        return self._names.setdefault(top, private)

    def _is_private(self, name: str, found: ModuleSpec) -> bool:
        """Whether it is the application's and can be run from source."""
        if _is_namespace(found):
            paths = found.submodule_search_locations or ()
        elif isinstance(found.loader, SourceFileLoader):
            paths = [found.loader.path]
        else:
            return False

        return (
            not all(map(_is_shared_path, paths))
            or self._is_in_folder(found)
            or self._is_entry(self.clean(name), paths)
            or _is_in_private_package(name)
        )

    def _is_entry(self, name: str, paths: Iterable[str]) -> bool:
        """Whether it is the entry or a package that this is in: private even
        when it is installed, but for the standard library, of which a second
        copy does harm."""
        is_above = f"{self.entry}.".startswith(f"{name}.")
        return is_above and not any(map(_is_stdlib_path, paths))

    def _is_in_folder(self, found: ModuleSpec) -> bool:
        """Whether it is right in the folder, below which there may be an
        environment with packages that are shared."""
        if self._folder is None or not found.origin:
            return False
        path = Path(found.origin)
        if found.submodule_search_locations is not None:
            path = path.parent
        return path.parent == Path(self._folder)

    def _search(self, top: str) -> ModuleSpec | None:
        return _search(top, None, [self._folder] if self._folder else [])


class _PrivateLoader(SourceFileLoader):
    """Runs a file once, as the module of one runtime."""

    def __init__(self, name: str, found: SourceFileLoader, modules: Modules) -> None:
        super().__init__(name, found.path)
        self._found = found
        self._modules = modules
        self._module: ModuleType | None = None
        self._executed = False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        # Asked for again where a module is looked up under its plain name, as
        # pkgutil.get_data() does: that must not run it again.
        if self._module is None:
            self._module = ModuleType(spec.name)
            self._module.__dict__[MARK] = self._modules
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        if not self._executed:
            self._executed = True
            super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType:
        reloaded = self._module is None
        return _code.get(self._found, self._modules.fresh or reloaded)


class _Alias:
    """Loads a shared module under a private name."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has given it the private one.
        module.__spec__ = self._spec


class Finder:
    """Finds private names; first in sys.meta_path."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> Any:
        modules = owner(name)
        return modules.find_spec(name, path, target is not None) if modules else None


def owner(name: str) -> Modules | None:
    """Whose a name in sys.modules is; None for a shared module's."""
    return _owners.get(name.partition(".")[0])


def _search(name: str, path: Sequence[str] | None, first: Iterable[str] = ()) -> ModuleSpec | None:
    """As the import system does, without us."""
    for finder in sys.meta_path:
        if finder is Finder:
            continue
        entries = path
        if finder is PathFinder and path is None:
            entries = [*first, *sys.path]
        found = finder.find_spec(name, entries) if hasattr(finder, "find_spec") else None
        if found is not None:
            return found
    return None


def _is_namespace(found: ModuleSpec) -> bool:
    return not found.has_location and found.submodule_search_locations is not None


def _is_shared_path(path: str) -> bool:
    """Of the standard library or of an installed package."""
    return _is_stdlib_path(path) or _is_installed(path)


def _is_stdlib_path(path: str) -> bool:
    return path.startswith(_STDLIB) and not _is_in_site(path)


def _is_installed(path: str) -> bool:
    if _is_in_site(path):
        return True
    # pip install --target, to a folder in sys.path
    folders = [folder for folder in Path(path).parents if str(folder) in sys.path]
    return any(next(folder.glob("*.dist-info"), None) for folder in folders)


def _is_in_site(path: str) -> bool:
    return any(site in f"{path}/" for site in _SITES)


def _is_in_private_package(name: str) -> bool:
    parent = sys.modules.get(name.rpartition(".")[0])
    spec = getattr(parent, "__spec__", None)
    return isinstance(getattr(spec, "loader", None), _PrivateLoader)


def _alias(name: str, module: ModuleType) -> ModuleSpec:
    return ModuleSpec(name, _Alias(module))  # type: ignore[arg-type]


def _load_extension(name: str, found: ModuleSpec) -> ModuleType:
    path = found.origin or ""
    with _extensions_lock:
        module = _extensions.get(path)
        if module is None:
            kind: Any = type(found.loader)
            loader = kind(name, path)
            spec = importlib.util.spec_from_file_location(name, path, loader=loader)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            # Where its types are looked for when they are pickled.
            sys.modules.setdefault(name, module)
            loader.exec_module(module)
            _extensions[path] = module
        return module
