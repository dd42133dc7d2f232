"""The card in `best/`: what the model is, how it was chosen, what it scores and how to use it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.journal.events import EnsembleMeasured, RetrainEnded
from tuner.journal.history import History
from tuner.results.selection import TUNED, keep_rule, tuned_retrainings
from tuner.results.summary import Summary, failed_retrainings, summarize
from tuner.results.wording import (
    commits,
    hparam_text,
    interval_text,
    measured_word,
    plain,
    state_counts,
    winner_line,
)
from tuner.search.objective import number_text

_RUN = "RUN is the folder that holds `best/`."
_USE = {
    "model.safetensors": "In Python: `tuner.load_run(RUN).model()`.",
    "state.pt": "In Python: `tuner.load_run(RUN).state()`, for the `load_state_dict` of your class.",
    "": "Train it again with these hyperparameters; in Python: `tuner.load_run(RUN).hparams`.",
}
"""By the file in which what was trained lies, if there is one."""
_USE_IMAGES = """```
tuner predict RUN IMAGE...
```

Or in Python: `tuner.load_run(RUN).model()`."""
_IMAGE_LIMITS = (
    "It knows only images like those it was trained on: light on dark, one object filling the frame. "
    "Its probabilities are not calibrated."
)
_LIMITS = "It knows only data like those it was trained on."


def model_card(history: History, name: str, *, is_of_images: bool) -> str | None:
    """Return the card as Markdown; None while no retraining of the winner has ended.

    `is_of_images` says whether the command `predict` knows how to read an example (`BestDescription.is_of_images`).
    """
    summary = summarize(history, name)
    if summary.kept is None or summary.winner is None:
        return None
    file = _file(summary)
    origin = f"Commit {_code(commits(history))}"
    if file:
        origin += f"; sha256 of the weights: {_code(_in_best(summary).weights_sha256)}"
    sections = {
        f"# The tuned model of run {_code(name)}": _what(summary),
        f"## {measured_word(summary)}": _measured(summary),
        "## How it was chosen": _choice(history, summary),
        "## Hyperparameters": _hparams(summary.kept.hparams),
        "## Use": f"{_USE_IMAGES if is_of_images else _USE[file]} {_RUN}",
        "## Limits": _IMAGE_LIMITS if is_of_images else _LIMITS,
        "## Origin": f"{origin}.",
    }
    return "\n\n".join(f"{title}\n\n{body}" for title, body in sections.items()) + "\n"


def _what(summary: Summary) -> str:
    file = _file(summary)
    tuned = f"Tuned and trained for {_code(summary.dataset)}; "
    if not file:
        return f"{tuned}what was trained saves no state, so none is here; hyperparameters in `hparams.json`."
    content, rest = ("weights", " and normalisation") if file == "model.safetensors" else ("the state", "")
    return f"{tuned}{content} in `{file}`, hyperparameters{rest} in `hparams.json`."


def _file(summary: Summary) -> str:
    """Return the name of the file in which what was trained lies; empty if nothing was saved."""
    name = Path(_in_best(summary).weights).name
    return name if name in _USE else "model.safetensors"


def _in_best(summary: Summary) -> RetrainEnded | EnsembleMeasured:
    kept = summary.kept_ensemble or summary.kept
    assert kept is not None
    return kept


def _measured(summary: Summary) -> str:
    evaluations = _in_best(summary).evaluations
    header = ("metric", *summary.splits)
    rows = [
        (_code(name), *(number_text(evaluations.get(split, {}).get(name, math.nan)) for split in summary.splits))
        for name in (summary.leading, *summary.others)
    ]
    note = "The test set was read once for each retrained model, after all choices." if "test" in summary.splits else ""
    interval = summary.final[-1].test_interval
    if interval is not None:
        shown = interval_text(interval, summary.objective)
        note = f"95% interval of the test {summary.leading} (Wilson): {shown}. {note}"
    return f"{_table(header, rows)}\n\n{note}".rstrip()


def _choice(history: History, summary: Summary) -> str:
    assert summary.kept is not None
    assert summary.winner is not None
    search = (
        f"{state_counts(summary)}; {summary.epochs:,} epochs. {winner_line(history, summary)} "
        f"Rule: {summary.winner.rule}"
    )
    retraining = (
        f"The winner was trained afresh on the train split alone. {keep_rule(summary.objective)} "
        f"Here that is seed {summary.kept.seed}, as it was after epoch {summary.kept.best_epoch}."
    )
    failed = failed_retrainings(history, TUNED)
    if failed:
        retraining += f" {failed} of its {failed + len(tuned_retrainings(history))} retrainings failed."
    if summary.kept_ensemble is not None:
        seeds = ", ".join(map(str, summary.kept_ensemble.seeds))
        retraining += f" The model is the ensemble of seeds {seeds}: it answers with the mean of their probabilities."
    return f"{search}\n\n{retraining}"


def _hparams(hparams: Mapping[str, Any]) -> str:
    return _table(("name", "value"), ((_code(name), _code(hparam_text(value))) for name, value in hparams.items()))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    """Return text of unknown origin as Markdown code: nothing in it can be markup, or end its table's cell."""
    shown = " ".join(plain(text).split()).replace("|", "\\|")
    longest = max((len(run) for run in "".join(c if c == "`" else " " for c in shown).split()), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
