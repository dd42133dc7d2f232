"""Tests of `tuner.registry` on a package written for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner.registry import registered_module, registered_names


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "shelf_of_the_registry_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "two_words.py").write_text("def load(): return 'two words'\n")
    (folder / "helper.py").write_text("HELP = 1\n")
    (folder / "broken.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder.name
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_a_file_is_registered_under_its_name_with_hyphens(package: str) -> None:
    module = registered_module(package, "two-words", "load")
    assert module is not None
    assert module.load() == "two words"


@pytest.mark.parametrize("name", ["two_words", "helper", "absent", "", "os.path", "__init__"])
def test_other_names_are_not_registered(package: str, name: str) -> None:
    assert registered_module(package, name, "load") is None


def test_only_modules_with_the_attribute_are_listed(package: str, tmp_path: Path) -> None:
    (tmp_path / package / "broken.py").unlink()
    assert registered_names(package, "load") == ["two-words"]


def test_finding_one_module_imports_no_other(package: str) -> None:
    registered_module(package, "two-words", "load")
    assert f"{package}.broken" not in sys.modules
