from __future__ import annotations

from collections.abc import Callable, Sequence

from tuner.journal.events import Event, RetrainEnded, StudyStarted, WinnerSelected
from tuner.journal.history import History
from tuner.results.model_card import model_card

FOUND = {split: {"accuracy": 0.9, "loss": 0.3, "n": 100} for split in ("train", "dev", "test")}


def test_the_card_tells_accuracy_choice_and_hyperparameters_of_the_kept_seed(finished: History) -> None:
    card = model_card(finished, "study", is_of_images=False)
    assert card is not None
    assert "| `accuracy` | 0.9800 | 0.9400 | 0.9100 |" in card
    assert "0.9042-0.9155" in card
    assert "Here that is seed 2, as it was after epoch 2." in card
    assert "| `lr` | `0.01` |" in card


def test_there_is_no_card_without_a_model(searching: History) -> None:
    assert model_card(searching, "study", is_of_images=False) is None


def test_a_hyperparameter_cannot_bring_markup_or_break_the_table(build: Callable[[Sequence[Event]], History]) -> None:
    hostile = {"a": "x | y\n# z", "b": "`<b>`"}
    history = build(
        [
            StudyStarted({}, {"dataset": "digits"}),
            WinnerSelected(0, hostile, "dev_accuracy", 0.9, 1, "rule"),
            RetrainEnded("tuned", 1, hostile, 1, FOUND, "w", "h"),
        ]
    )
    card = model_card(history, "study", is_of_images=False)
    assert card is not None
    assert "| `a` | `x \\| y # z` |" in card
    assert "| `b` | `` `<b>` `` |" in card
