"""What a run says at its end: the answer, what it rests on, and where to go from there."""

from __future__ import annotations

import shlex
import textwrap

from tuner.journal.history import History
from tuner.results.best import BestDescription
from tuner.results.summary import Summary, summarize
from tuner.results.text import aligned
from tuner.results.wording import answer_line, final_cells, final_header, hparams_text, state_counts, time_line

_INDENT = 10
_TRAIN = "train"
"""The split that says least of what was reached."""


def closing(history: History, where: str, best: BestDescription, width: int = 100) -> str:
    """Return the last words of a run in the folder `where`, in lines of at most `width` characters if words allow."""
    summary = summarize(history, where)
    blocks = [textwrap.fill(answer_line(summary), width)]
    if summary.is_measured:
        blocks.append(_table(summary))
    pointers = [*_pointers(summary, where, width), *_commands(where, best, width)]
    return "\n\n".join([*blocks, "\n".join(pointers)])


def _table(summary: Summary) -> str:
    """Return the final table without the column of the train set."""
    rows = [final_header(summary), *(final_cells(row, summary) for row in summary.final)]
    shown = [place for place, title in enumerate(rows[0]) if title != _TRAIN]
    return aligned([[row[place] for place in shown] for row in rows], left=2)


def _pointers(summary: Summary, where: str, width: int) -> list[str]:
    counts = f"{state_counts(summary)}; {summary.epochs:,} epochs in the search; {time_line(summary)}"
    pointers = {"Search": counts}
    if summary.winner is not None:
        hparams = hparams_text(summary.winner.hparams)
        pointers["Winner"] = f"trial {summary.winner.trial}{': ' if hparams else ''}{hparams}"
    pointers["Report"] = f"{where}/report.html"
    return [_filled(f"{name:<{_INDENT}}", " ".join(text.split()), width) for name, text in pointers.items()]


def _commands(where: str, best: BestDescription, width: int) -> list[str]:
    """Return what can be done with the run, each with its purpose if there is room."""
    run = shlex.quote(where)
    commands = [(f"tuner report {run}", "the whole report as text")]
    if best.is_of_images:
        commands.insert(0, (f"tuner predict {run} IMAGE...", "ask the model about your images"))
    lines = []
    size = max(len(command) for command, _ in commands)
    for place, (command, purpose) in enumerate(commands):
        label = f"{'Next' if place == 0 else '':<{_INDENT}}"
        line = f"{label}{command:<{size}}  # {purpose}"
        lines.append(line if len(line) <= width else f"{label}{command}")  # a command is copied, so never broken
    return lines


def _filled(label: str, text: str, width: int) -> str:
    indent = " " * len(label)
    return textwrap.fill(
        text, width, initial_indent=label, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
