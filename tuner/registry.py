"""Finding what a package's folder offers: one module, one registered thing, named after its file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def registered_module(package: str, name: str, attribute: str) -> ModuleType | None:
    """Return the module of `package` registered as `name`, or None if there is none.

    A module is registered when it defines `attribute` itself. Its public name is its file's name with
    hyphens: `fashion_mnist.py` is "fashion-mnist". Only that one module is imported.
    """
    stem = name.replace("-", "_")
    if name != stem.replace("_", "-") or stem not in _module_names(package):
        return None
    module = importlib.import_module(f"{package}.{stem}")
    return module if attribute in vars(module) else None


def registered_names(package: str, attribute: str) -> list[str]:
    """Return the sorted public names of the modules of `package` that define `attribute`."""
    names = [stem.replace("_", "-") for stem in _module_names(package)]
    return sorted(name for name in names if registered_module(package, name, attribute))


def _module_names(package: str) -> list[str]:
    return [module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__)]
