from __future__ import annotations

from tuner.results.figures.learning_curves import panels_of


def test_what_is_known_of_several_splits_shares_a_panel_by_whichever_name_the_dev_split_goes() -> None:
    assert panels_of(["train_loss", "val_loss", "dev_f1", "lr"]) == {
        "loss": {"train_loss": "train", "val_loss": "val"},
        "f1": {"dev_f1": "dev"},
        "lr": {"lr": ""},
    }
