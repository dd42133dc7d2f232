"""One study on disk that is started, killed and resumed from outside, as a user would by the command."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.space import EVIDENCE_VARIABLE
from tuner.errors import JournalError
from tuner.journal.events import EpochReported, RetrainEpochReported
from tuner.journal.store import Entry, read_journal
from tuner.paths import RunPaths

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "study"

_OPTIONS = {
    "--space": str(Path(__file__).with_name("space.py")),
    "--dataset": "digits",
    "--workers": "1",
    "--max-epochs": "9",
    "--patience": "4",
    "--startup-trials": "5",
    "--retrain-seeds": "1",
    # Whoever is killed twenty times has not failed.
    "--max-failures": "1000",
    "--name": NAME,
}


def chaos_environment(folder: Path) -> dict[str, str]:
    """Return the environment in which everything below `folder` stays there, with a token of its own for Ray."""
    temporary = folder / "t"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "TMPDIR": str(temporary),
        EVIDENCE_VARIABLE: str(folder / "evidence"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        # A busy machine may be slow to start a node.
        "RAY_raylet_start_wait_time_s": "120",
    }


@dataclass(frozen=True)
class Begun:
    """An epoch that a worker began, perhaps to be killed in it."""

    seed: int
    """torch's seed during the epoch; see `space.py`."""
    time: float
    """Seconds since the epoch, on this machine."""


class ChaosStudy:
    """A run of the tiny study in a folder of its own, with all its temporary files."""

    def __init__(self, folder: Path, trials: int, address: str | None = None, **changes: str) -> None:
        """Study `trials` configurations in `folder`, on Ray at `address` or one that each driver starts.

        `changes` are options of the command that differ from the usual, by name.
        """
        self.folder = folder
        self.paths = RunPaths(folder / "runs" / NAME)
        self._options = _OPTIONS | {"--trials": str(trials), "--storage": str(self.paths.root.parent)}
        self._options |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        self._address = address
        self._environment = dict(os.environ) | (chaos_environment(folder) if address is None else {})
        self._began = float("inf")
        self._over = float("inf")
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> subprocess.Popen[bytes]:
        """Start a driver that begins the study, or resumes it if there is something to resume."""
        self._began = min(self._began, time.time())
        if self.paths.root.exists():
            arguments = ["--resume", str(self.paths.root)]
        else:
            arguments = [part for option in self._options.items() for part in option] + ["--baseline"]
            arguments += ["--address", self._address] if self._address else []
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tuner.run", *arguments],
                cwd=REPOSITORY,
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    @property
    def output(self) -> Path:
        """What all drivers printed."""
        return self.folder / "output"

    @property
    def temporary(self) -> Path:
        """Where all processes of the study put their temporary files."""
        return Path(self._environment["TMPDIR"])

    def journal(self) -> list[Entry]:
        """Return the journal so far; empty if there is none yet."""
        try:
            return read_journal(self.paths.journal)
        except JournalError:
            return []

    def reported(self) -> int:
        """Return how many epochs are in the journal."""
        return sum(isinstance(entry.event, EpochReported | RetrainEpochReported) for entry in self.journal())

    def evidence(self) -> list[Begun]:
        """Return every epoch that was begun. On one cluster studies share a file, and only time tells them apart."""
        file = Path(self._environment[EVIDENCE_VARIABLE])
        lines = file.read_text().splitlines() if file.exists() else []
        begun = [Begun(int(seed), float(when)) for seed, when, _ in map(str.split, lines)]
        return [one for one in begun if self._began <= one.time <= self._over]

    def run_undisturbed(self) -> float:
        """Run to the end and return the seconds it took; raises RuntimeError if it fails."""
        started = time.monotonic()
        code = self.start().wait()
        self._over = time.time()
        if code != 0:
            raise RuntimeError(f"the undisturbed study ended with {code}: {self.output.read_text()[-2000:]}")
        return time.monotonic() - started
