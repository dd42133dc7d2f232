"""The package as others install it: a wheel, in an environment of its own, outside the repository."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.environment import untouched_environment

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _uv("build", "--wheel", "--quiet", "--out-dir", folder, REPOSITORY)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment in which the wheel is installed.

    What the wheel needs comes from here, by a path alone: so this repository, which is installed here too, does not.
    """
    environment = tmp_path_factory.mktemp("elsewhere") / "venv"
    _uv("venv", "--quiet", "--python", sys.executable, environment)
    _uv("pip", "install", "--quiet", "--offline", "--no-deps", "--python", environment / "bin" / "python", wheel)
    [packages] = environment.glob("lib/python*/site-packages")
    here = [path for path in site.getsitepackages() if Path(path).is_dir()]
    (packages / "what_it_needs.pth").write_text("\n".join(here))
    return environment / "bin"


def _uv(*args: str | Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv, which builds the wheel")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([uv, *args], check=True, env=environment)


@pytest.mark.timeout(300)
def test_a_wheel_puts_one_name_into_site_packages_and_tells_type_checkers_of_its_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [archive.read(name).decode() for name in names if name.endswith("/METADATA")]
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"tuner"}
    assert "tuner/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or "/test" in name]
    for python in ("3.11", "3.12", "3.13"):
        assert f"Classifier: Programming Language :: Python :: {python}\n" in metadata


@pytest.mark.timeout(300)
def test_the_commands_of_an_installed_wheel_run_anywhere(installed: Path, tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(
            [installed / command[0], *command[1:]],
            cwd=tmp_path,
            env=untouched_environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("python", "-c", "import tuner; print(tuner.__file__)")
    assert where.startswith(str(installed.parent))
    assert run("tuner", "--version") == f"tuner {version('tuner')}\n"
    assert "mine.py is written" in run("tuner", "new", "mine")
    assert "Data set: digits" in run("tuner", "describe", "--dataset", "digits", "--model", "small-cnn")
    study = ["--preset", "smoke", "--in-process", "--trials", "1", "--max-epochs", "1", "--retrain-epochs", "1"]
    run("tuner", "run", *study, "--retrain-seeds", "1", "--no-baseline", "--name", "run")
    assert (tmp_path / "runs" / "run" / "space" / "digits.py").is_file()
