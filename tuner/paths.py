"""The only place that names a file of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SQLITE = "sqlite:///"
"""What stands before the path of a database in its address."""


MEASURED = "measured-"
"""How names of checkpoints begin that belong to trainings before the plan, which measure how fast they are."""


@dataclass(frozen=True)
class RunPaths:
    """Every path below one run's folder."""

    root: Path
    remote: str | None = None
    """The `s3://` address of the run, of which `root` is then this machine's copy; else the run is `root` itself."""

    def location(self, path: Path) -> str:
        """Return where other machines find what here is `path`."""
        return str(path) if self.remote is None else f"{self.remote}/{path.relative_to(self.root)}".removesuffix("/.")

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.json"

    @property
    def environment(self) -> Path:
        """Versions, host, hardware and data hashes."""
        return self.root / "environment.json"

    @property
    def journal(self) -> Path:
        """The folder of the event log, the record everything else is a projection of."""
        return self.root / "journal"

    @property
    def space(self) -> Path:
        """The folder with the task's file and the modules beside it that it imports, as they were."""
        return self.root / "space"

    @property
    def trials(self) -> Path:
        """One row per trial."""
        return self.root / "trials.parquet"

    @property
    def epochs(self) -> Path:
        """One row per (trial, epoch)."""
        return self.root / "epochs.parquet"

    @property
    def final(self) -> Path:
        """One row per (candidate, seed, split)."""
        return self.root / "final.parquet"

    @property
    def retrain_epochs(self) -> Path:
        """One row per (candidate, seed, epoch) of the retraining."""
        return self.root / "retrain_epochs.parquet"

    @property
    def best(self) -> Path:
        """The folder of the retrained winner."""
        return self.root / "best"

    @property
    def best_model(self) -> Path:
        """The winner's weights."""
        return self.best / "model.safetensors"

    @property
    def best_state(self) -> Path:
        """What the winner's own training saved, where it is no model of the built-in loop."""
        return self.best / "state.pt"

    @property
    def best_hparams(self) -> Path:
        """The winner's hyperparameters."""
        return self.best / "hparams.json"

    @property
    def model_card(self) -> Path:
        """What the model is, how it was chosen and what it scores, for people."""
        return self.best / "README.md"

    @property
    def best_predictions(self) -> Path:
        """What the retrained winner answers on the dev set, if it is a classifier."""
        return self.best / "dev_predictions.npz"

    @property
    def data_sample(self) -> Path:
        """Counts, moments and a few images of the training data, if it has classes."""
        return self.root / "data_sample.npz"

    @property
    def report_html(self) -> Path:
        """The self-contained report."""
        return self.root / "report.html"

    @property
    def report_text(self) -> Path:
        """The same report as plain text."""
        return self.root / "report.txt"

    @property
    def log(self) -> Path:
        """What Ray and our own loggers said."""
        return self.root / "run.log"

    @property
    def logs(self) -> Path:
        """The folder with what trainings printed, and why they failed."""
        return self.root / "logs"

    def log_of(self, checkpoints: str | Path) -> Path:
        """Return the log of the training with these checkpoints; those before the plan have one together."""
        name = PurePosixPath(checkpoints).name
        return self.logs / f"{MEASURED.rstrip('-') if name.startswith(MEASURED) else name}.log"

    @property
    def trackers(self) -> Path:
        """The folder of what trackers keep here."""
        return self.root / "trackers"

    @property
    def exports(self) -> Path:
        """The folder of what was written for other tools."""
        return self.root / "exports"

    @property
    def checkpoints(self) -> Path:
        """Unfinished trainings, deleted when no longer needed."""
        return self.root / "checkpoints"

    def trial_checkpoints(self, trial: int) -> Path:
        """Return the folder of one trial's checkpoints."""
        return self.checkpoints / f"trial-{trial:05d}"

    def retrain_checkpoints(self, candidate: str, seed: int) -> Path:
        """Return the folder of one retraining's checkpoints."""
        return self.checkpoints / f"retrain-{candidate}-{seed}"


def at_home(path: str) -> str:
    """Return the path with the user's home in place of a `~` at its beginning; as it is if there is no such home."""
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        return path
