"""Tests of `tuner.io.sources`: a file and what it imports beside it are one thing."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner.errors import SpaceError
from tuner.io.files import hash_file
from tuner.io.sources import Sources

SPACE = """
from nets import width  # beside this file
import json


def model():
    import lazy.deep
    return width() + lazy.deep.VALUE
"""


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    finders, modules = list(sys.meta_path), dict(sys.modules)
    yield
    sys.meta_path[:] = finders
    for name in set(sys.modules) - set(modules):
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A task whose helper imports another, and a package inside a function; a stranger lies beside them."""
    folder = tmp_path / "task"
    (folder / "lazy").mkdir(parents=True)
    (folder / "space.py").write_text(SPACE)
    (folder / "nets.py").write_text("import widths\n\n\ndef width():\n    return widths.WIDTH\n")
    (folder / "widths.py").write_text("WIDTH = 1\n")
    (folder / "lazy" / "deep.py").write_text("VALUE = 10\n")
    (folder / "json.py").write_text("raise AssertionError('this is not the json that is meant')\n")
    (folder / "stranger.py").write_text("raise AssertionError('nobody asked for me')\n")
    return folder


def test_a_file_is_read_with_what_it_imports_beside_it_and_no_more(folder: Path) -> None:
    assert list(Sources.read(folder / "space.py").files) == ["lazy/deep.py", "nets.py", "space.py", "widths.py"]


def test_the_modules_are_loaded_from_any_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    module = Sources.read(folder / "space.py").load()
    assert module.model() == 11
    assert module.__file__ == str(folder / "space.py")
    assert inspect.getsource(module.model).startswith("def model():")


def test_what_was_read_runs_and_not_what_the_file_became(folder: Path) -> None:
    sources = Sources.read(folder / "space.py")
    (folder / "widths.py").write_text("WIDTH = 2\n")
    assert sources.load().model() == 11
    assert Sources.read(folder / "space.py").load().model() == 12


def test_two_tasks_with_helpers_of_one_name_have_their_own(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "space.py").write_text("from nets import width\n")
    (other / "nets.py").write_text("def width():\n    return 7\n")
    assert Sources.read(folder / "space.py").load().model() == 11
    assert Sources.read(other / "space.py").load().width() == 7


def test_a_library_is_not_replaced_by_a_file_of_its_name(folder: Path) -> None:
    (folder / "space.py").write_text("import pytest\nRAISES = pytest.raises\n")
    (folder / "pytest.py").write_text("raises = None\n")
    assert Sources.read(folder / "space.py").load().RAISES is pytest.raises


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed library that nothing has imported yet; beside the task lies a plain folder of its name."""
    package = tmp_path / "site" / "libdatasets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("WHOSE = 'the library'\n")
    (package / "deep.py").write_text("WHOSE = 'the library'\n")
    (tmp_path / "task" / "libdatasets").mkdir(parents=True)
    (tmp_path / "task" / "libdatasets" / "deep.py").write_text("WHOSE = 'the task'\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return package


def test_a_plain_folder_does_not_hide_a_library_of_its_name(folder: Path, library: Path) -> None:
    (folder / "space.py").write_text("from libdatasets import WHOSE\nimport libdatasets.deep as deep\n")
    module = Sources.read(folder / "space.py").load()
    assert (module.WHOSE, module.deep.WHOSE) == ("the library", "the library")


def test_a_package_hides_a_library_of_its_name(folder: Path, library: Path) -> None:
    (folder / "libdatasets" / "__init__.py").write_text("WHOSE = 'the task'\n")
    (folder / "space.py").write_text("from libdatasets import WHOSE\nimport libdatasets.deep as deep\n")
    module = Sources.read(folder / "space.py").load()
    assert (module.WHOSE, module.deep.WHOSE) == ("the task", "the task")


def test_a_plain_folder_shares_its_name_with_a_plain_folder_of_a_library(folder: Path, library: Path) -> None:
    (library / "__init__.py").unlink()
    (library / "other.py").write_text("WHOSE = 'the library'\n")
    (folder / "space.py").write_text("import libdatasets.deep as deep\nimport libdatasets.other as other\n")
    module = Sources.read(folder / "space.py").load()
    assert (module.deep.WHOSE, module.other.WHOSE) == ("the task", "the library")


def test_a_file_comes_before_a_plain_folder_of_its_name(folder: Path) -> None:
    (folder / "lazy.py").write_text("VALUE = 3\n")
    (folder / "space.py").write_text("from lazy import VALUE\n")
    sources = Sources.read(folder / "space.py")
    assert list(sources.files) == ["lazy.py", "space.py"]
    assert sources.load().VALUE == 3


def test_the_hash_follows_every_file_and_of_one_alone_it_is_that_files(folder: Path) -> None:
    before = Sources.read(folder / "space.py").sha256
    (folder / "stranger.py").write_text("")
    assert Sources.read(folder / "space.py").sha256 == before
    (folder / "lazy" / "deep.py").write_text("VALUE = 11\n")
    assert Sources.read(folder / "space.py").sha256 != before
    assert Sources.read(folder / "widths.py").sha256 == hash_file(folder / "widths.py")


def test_a_copy_is_the_same_sources(folder: Path, tmp_path: Path) -> None:
    sources = Sources.read(folder / "space.py")
    assert not sources.are_in(tmp_path / "copy")
    sources.write(tmp_path / "copy")
    assert sources.are_in(tmp_path / "copy")
    again = Sources.read(tmp_path / "copy" / "space.py")
    assert (again.files, again.sha256) == (sources.files, sources.sha256)
    assert again.load().model() == 11


def test_another_process_can_import_what_it_was_sent(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "sources").write_bytes(pickle.dumps(Sources.read(folder / "space.py")))
    (folder / "lazy" / "deep.py").unlink()
    code = (
        "import pickle, sys; pickle.load(open(sys.argv[1], 'rb')).make_importable(); "
        "import lazy.deep, nets; print(lazy.deep.VALUE + nets.width())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "sources")], capture_output=True, text=True, check=True
    )
    assert found.stdout == "11\n"


def test_the_loaded_modules_are_known(folder: Path) -> None:
    sources = Sources.read(folder / "space.py")
    sources.load()
    assert {module.__name__ for module in sources.modules()} == {"tuner_space_space", "nets", "widths"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def suggest(", "cannot be imported: SyntaxError"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("import broken", r"cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_loaded_says_why(folder: Path, source: str, message: str) -> None:
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "space.py").write_text(source)
    with pytest.raises(SpaceError, match=rf"space\.py' {message}"):
        Sources.read(folder / "space.py").load()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"absent\.py', but there is no such file"):
        Sources.read(tmp_path / "absent.py")


def test_a_file_may_have_any_name(folder: Path) -> None:
    (folder / "my space-1.2.py").write_text("VALUE = 5\n")
    assert Sources.read(folder / "my space-1.2.py").load().VALUE == 5
