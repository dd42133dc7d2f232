"""What can be said where classes are told apart: confusions, scores by class, mistakes, and the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tuner.data.predictions import Predictions
from tuner.data.sample import DataSample
from tuner.journal.history import History
from tuner.results.figures.confusion import MOST_CLASSES, confusion
from tuner.results.kept import Kept, picture_source
from tuner.results.summary import Summary
from tuner.results.view import Picture, Table, View
from tuner.results.wording import plain
from tuner.search.objective import number_text

_CONFUSIONS = (
    "Each row is a label, each column an answer; the colour is the share of the label's examples. The retrained winner "
    "in best/, on the dev set."
)
_SCORES = (
    "Precision: of the answers with this class, the share that is right. Recall: of the examples of this class, the "
    "share that was found. F1: their harmonic mean. On the dev set, by which the winner was chosen, so a little high."
)
_WRONG = (
    "The dev examples with the surest wrong answers, the surest first: label, then the answer with its probability. "
    "The test set stays unread."
)
_LISTED = 12
"""Mistakes that are listed where there are no pictures."""
_TOLD = 3
"""Confusions that are told."""


def mistake_views(history: History, summary: Summary, kept: Kept) -> Iterator[View]:
    """Yield how the retrained winner does on the dev set, class by class; nothing without its answers."""
    found = kept.predictions
    if found is None:
        return
    figure = confusion(found)
    title, note = ("Confusions", "") if figure is None else ("Confusion matrix", _CONFUSIONS)
    yield View("confusion", title, note, figure=figure, text=_most_confused(found))
    yield _scores(found)
    if len(found.wrong):
        yield _most_wrong(found)


def data_views(history: History, summary: Summary, kept: Kept) -> Iterator[View]:
    """Yield what the data are: sizes, statistics, classes and samples, as far as they are known."""
    sizes: Mapping[str, Any] = history.environment.get("examples") or {}
    rows = [(split, "-" if size is None else f"{size:,}") for split, size in sizes.items()]
    if rows:
        yield View("data", "Data", table=Table(("split", "examples"), rows))
    sample = kept.data
    if sample is None:
        return
    yield View("statistics", "Statistics of the training inputs", _statistics_note(sample), table=_statistics(sample))
    classes = len(sample.class_names)
    shown = zip(sample.class_names[:MOST_CLASSES], sample.counts.T[:MOST_CLASSES], strict=True)
    counts = [(plain(name), *map("{:,}".format, row)) for name, row in shown]
    more = f"The first {MOST_CLASSES} of {classes}." if classes > MOST_CLASSES else ""
    yield View("balance", "Classes", more, table=Table(("class", "train", "dev"), counts))
    if len(sample.images):
        names = [plain(sample.class_names[label]) for label in sample.image_labels]
        pictures = [Picture(picture_source(one), name) for one, name in zip(sample.images, names, strict=True)]
        yield View("samples", "Samples", "The first of each class in the training set.", pictures=pictures)


def _most_confused(found: Predictions) -> list[str]:
    """Return a sentence with the pairs that are confused most."""
    confusions = found.confusions()
    wrong = confusions[confusions[:, 0] != confusions[:, 1]]
    if not len(wrong):
        return ["No dev example has a wrong answer."]
    names, counts = found.class_names, wrong[:, 2]
    order = np.argsort(-counts, kind="stable")[:_TOLD]
    told = (f"{plain(names[label])} for {plain(names[answer])} ({count:,})" for label, answer, count in wrong[order])
    total = f"{int(counts.sum()):,} of {len(found.label):,} dev examples have a wrong answer."
    return [f"{total} Most often taken: {', '.join(told)}."]


def _scores(found: Predictions) -> View:
    classes = len(found.class_names)
    table = Table(("class", "precision", "recall", "F1", "examples"), _class_rows(found))
    text = [f"The {MOST_CLASSES} of {classes} classes with the lowest F1."] if classes > MOST_CLASSES else []
    return View("classes", "Scores by class", _SCORES, table=table, text=text)


def _class_rows(found: Predictions) -> list[tuple[str, ...]]:
    """Return a row for each class; of more than can be read at a glance, those with the lowest F1, the lowest first."""
    classes = len(found.class_names)
    right, asked, answered = (
        np.bincount(one, minlength=classes)
        for one in (found.label[found.label == found.predicted], found.label, found.predicted)
    )
    with np.errstate(invalid="ignore"):  # what is divided by nothing is not a number, shown as -
        precision, recall, f1 = right / answered, right / asked, 2 * right / (asked + answered)
    shown = np.arange(classes) if classes <= MOST_CLASSES else np.argsort(f1, kind="stable")[:MOST_CLASSES]
    return [
        (
            plain(found.class_names[place]),
            *("-" if np.isnan(score[place]) else f"{score[place]:.4f}" for score in (precision, recall, f1)),
            f"{asked[place]:,}",
        )
        for place in shown
    ]


def _most_wrong(found: Predictions) -> View:
    names = found.class_names
    wrong = [
        (plain(names[found.label[one]]), plain(names[found.predicted[one]]), float(found.confidence[one]))
        for one in found.wrong
    ]
    if len(found.wrong_images):
        pictures = [
            Picture(picture_source(image), f"{label}: {answer}, {sure:.0%}")
            for image, (label, answer, sure) in zip(found.wrong_images, wrong, strict=True)
        ]
        return View("wrong", "Most wrong", _WRONG, pictures=pictures)
    rows = [
        (str(int(place)), label, answer, f"{sure:.4f}")
        for place, (label, answer, sure) in list(zip(found.wrong, wrong, strict=True))[:_LISTED]
    ]
    return View(
        "wrong", "Most wrong", _WRONG, table=Table(("dev example", "label", "answer", "probability"), rows, left=3)
    )


def _statistics(sample: DataSample) -> Table:
    rows = []
    for place, (mean, deviation, low, high, missing) in enumerate(sample.statistics.tolist()):
        name = "all pixels" if len(sample.images) else f"feature {place}"
        rows.append((name, *map(number_text, (mean, deviation, low, high)), f"{missing:,.0f}"))
    return Table(("", "mean", "standard deviation", "minimum", "maximum", "missing"), rows)


def _statistics_note(sample: DataSample) -> str:
    if len(sample.images):
        return "Pixels are scaled to 0..1. `tuner describe` shows each."
    return "Of the first examples and features, where there are very many."
