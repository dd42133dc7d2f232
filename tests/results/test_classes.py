from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tests.results.conftest import HOSTILE
from tuner.data.dataset import Dataset
from tuner.data.predictions import Predictions
from tuner.data.sample import DataSample
from tuner.data.splits import Split
from tuner.io.arrays import write_arrays
from tuner.journal.events import Event
from tuner.journal.history import History, read_history
from tuner.paths import RunPaths
from tuner.results.export import export
from tuner.results.html import html_report
from tuner.results.kept import Kept, read_kept
from tuner.results.views import View, views

LABELS = np.array([0, 0, 0, 1, 1, 2], dtype=np.int64)
PROBABILITIES = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0, 1, 0], [0.4, 0.6, 0], [0.7, 0.2, 0.1]])
DEV = Split(np.full((6, 8, 8), 200, dtype=np.uint8), LABELS, ("cat", HOSTILE, "owl"))


@pytest.fixture
def kept() -> Kept:
    return Kept(DataSample.of(Dataset(DEV, DEV)), Predictions.of(DEV, PROBABILITIES))


def by_id(history: History, kept: Kept) -> dict[str, View]:
    return {view.id: view for view in views(history, "study", kept)}


def test_scores_by_class_are_those_of_the_definition(finished: History, kept: Kept) -> None:
    table = by_id(finished, kept)["classes"].table
    assert table is not None
    assert [row[1:] for row in table.rows] == [
        ("0.6667", "0.6667", "0.6667", "3"),  # 2 of 3 answers are right, 2 of 3 labels found
        ("0.6667", "1.0000", "0.8000", "2"),
        ("-", "0.0000", "0.0000", "1"),  # never answered
    ]


def test_the_most_confused_are_told_and_every_share_is_drawn(finished: History, kept: Kept) -> None:
    view = by_id(finished, kept)["confusion"]
    assert view.text[0].startswith("2 of 6 dev examples have a wrong answer. Most often taken: cat for <script>")
    assert view.figure is not None
    (matrix,) = view.figure.data
    assert [list(row) for row in matrix.z] == [[0.6667, 0.3333, 0], [0, 1, 0], [1, 0, 0]]


def test_the_most_wrong_images_are_pictures_with_label_and_answer(finished: History, kept: Kept) -> None:
    pictures = by_id(finished, kept)["wrong"].pictures
    assert [picture.caption for picture in pictures] == [f"cat: {HOSTILE}, 90%", "owl: cat, 70%"]
    assert all(picture.source.startswith("data:image/png;base64,") for picture in pictures)


def test_mistakes_without_images_are_a_table(finished: History) -> None:
    dev = (np.zeros((6, 4)), LABELS)
    view = by_id(finished, Kept(predictions=Predictions.of(dev, PROBABILITIES)))["wrong"]
    assert view.table is not None
    assert [*view.table.rows] == [("2", "0", "1", "0.9000"), ("5", "2", "0", "0.7000")]


def test_without_answers_and_data_there_are_no_headings_for_them(finished: History) -> None:
    assert not {"confusion", "classes", "wrong", "statistics", "balance", "samples"} & by_id(finished, Kept()).keys()


def test_hostile_class_names_are_text_in_the_page(finished: History, kept: Kept) -> None:
    page = html_report(finished, "study", kept)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") > 3
    assert html_report(finished, "study", kept) == page


def test_what_a_run_keeps_is_in_its_report_and_a_damaged_file_counts_as_missing(
    run_folder: Callable[[Sequence[Event] | None], RunPaths], kept: Kept
) -> None:
    paths = run_folder(None)
    paths.best.mkdir()
    assert kept.predictions is not None
    assert kept.data is not None
    write_arrays(paths.best_predictions, kept.predictions.to_arrays())
    write_arrays(paths.data_sample, kept.data.to_arrays())
    export(read_history(paths.journal), paths)
    page = paths.report_html.read_text()
    assert 'id="confusion"' in page
    assert 'id="samples"' in page
    paths.best_predictions.write_bytes(b"damaged")
    found = read_kept(paths)
    assert found.predictions is None
    assert found.data is not None


def test_of_very_many_classes_the_worst_are_listed_and_the_page_stays_small(finished: History) -> None:
    labels = np.arange(600, dtype=np.int64) % 300
    probabilities = np.eye(300)[labels]
    probabilities[0] = np.eye(300)[7]
    found = by_id(finished, Kept(predictions=Predictions.of((np.zeros((600, 2)), labels), probabilities)))
    assert found["confusion"].figure is None
    assert found["confusion"].text == ["1 of 600 dev examples have a wrong answer. Most often taken: 0 for 7 (1)."]
    table = found["classes"].table
    assert table is not None
    assert len(table.rows) == 60
    assert [row[0] for row in table.rows[:3]] == ["0", "7", "1"]


def test_a_million_classes_cost_no_more_than_their_examples(finished: History) -> None:
    few = Predictions.of((np.zeros((6, 4)), LABELS), PROBABILITIES)
    names = np.arange(1_000_000).astype(str)
    found = by_id(finished, Kept(predictions=Predictions.from_arrays({**few.to_arrays(), "class_names": names})))
    assert found["confusion"].text[0].endswith("Most often taken: 0 for 1 (1), 2 for 0 (1).")
    assert found["classes"].text == ["The 60 of 1000000 classes with the lowest F1."]
    table = found["classes"].table
    assert table is not None
    # Of a class that occurs nowhere F1 is not known, so it is not among the lowest.
    assert [(row[0], *row[3:]) for row in table.rows[:4]] == [
        ("2", "0.0000", "1"),
        ("0", "0.6667", "3"),
        ("1", "0.8000", "2"),
        ("3", "-", "0"),
    ]
