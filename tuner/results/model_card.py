"""The card in `best/`: what the model is, how it was chosen, what it scores and how to use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tuner.journal.history import History
from tuner.results.selection import KEEP_RULE, RULE
from tuner.results.summary import SPLITS, Summary, summarize
from tuner.results.wording import commits, hparam_text, interval_text, plain, state_counts, winner_line

_USE = """```
python -m tuner.predict RUN IMAGE...
```

Or in Python: `tuner.load_run(RUN).model()`. RUN is the folder that holds `best/`."""
_LIMITS = (
    "It knows only images like those it was trained on: light on dark, one object filling the frame. "
    "Its probabilities are not calibrated."
)


def model_card(history: History, name: str) -> str | None:
    """Return the card as Markdown; None while no retraining of the winner has ended."""
    summary = summarize(history, name)
    if summary.kept is None or summary.winner is None:
        return None
    sections = {
        f"# The tuned model of run {_code(name)}": _what(summary),
        "## Accuracy": _accuracies(summary),
        "## How it was chosen": _choice(history, summary),
        "## Hyperparameters": _hparams(summary.kept.hparams),
        "## Use": _USE,
        "## Limits": _LIMITS,
        "## Origin": f"Commit {_code(commits(history))}; sha256 of the weights: {_code(summary.kept.weights_sha256)}.",
    }
    return "\n\n".join(f"{title}\n\n{body}" for title, body in sections.items()) + "\n"


def _what(summary: Summary) -> str:
    return (
        f"An image classifier for {_code(summary.dataset)}, input 28x28 grey pixels; weights in `model.safetensors`, "
        "hyperparameters and normalisation in `hparams.json`."
    )


def _accuracies(summary: Summary) -> str:
    assert summary.kept is not None
    found = summary.kept.evaluations
    rows = (
        (split, f"{found[split]['accuracy']:.4f}", f"{found[split]['loss']:.4f}", f"{int(found[split]['n']):,}")
        for split in SPLITS
    )
    interval = interval_text(summary.final[-1].test_interval)
    note = (
        f"95% interval of the test accuracy (Wilson): {interval}. "
        "The test set was read once for each retrained model, after all choices."
    )
    return f"{_table(('split', 'accuracy', 'loss', 'images'), rows)}\n\n{note}"


def _choice(history: History, summary: Summary) -> str:
    assert summary.kept is not None
    search = f"{state_counts(summary)}; {summary.epochs:,} epochs. {winner_line(history, summary)} Rule: {RULE}"
    retraining = (
        f"The winner was trained afresh on the train split alone. {KEEP_RULE} "
        f"Here that is seed {summary.kept.seed}, with the weights of epoch {summary.kept.best_epoch}."
    )
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
