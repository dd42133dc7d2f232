"""The package as others install it: outside the repository, from a wheel."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.timeout(300)
def test_a_wheel_runs_a_study_anywhere_and_puts_one_name_into_site_packages(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("needs uv, which builds the wheel")
    subprocess.run([uv, "build", "--wheel", "--quiet", "--out-dir", tmp_path, REPOSITORY], check=True)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        assert {name.split("/")[0] for name in archive.namelist() if ".dist-info/" not in name} == {"tuner"}
        archive.extractall(installed)
    # The packages it needs come from here; this repository, which is installed here too, does not.
    others = [path for path in site.getsitepackages() if Path(path).is_dir()]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *others])}
    python = [sys.executable, "-S", "-m"]
    command = [*python, "tuner.run", "--preset", "smoke", "--space", "cnn", "--in-process", "--trials", "1"]
    command += ["--max-epochs", "1", "--retrain-seeds", "1", "--no-baseline", "--name", "run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "run" / "space" / "cnn.py").is_file()
    where = subprocess.run(
        [*python[:-1], "-c", "import tuner; print(tuner.__file__)"], cwd=tmp_path, env=environment, capture_output=True
    )
    assert where.stdout.decode().startswith(str(installed))
