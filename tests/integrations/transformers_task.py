"""A tiny model with random weights under Hugging Face's own trainer; Transformers takes long to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers import BertConfig, BertForSequenceClassification, EvalPrediction, Trainer, TrainingArguments

from tuner.integrations.transformers import TransformersTask


class Task(TransformersTask):
    def make_trainer(self, hparams: Mapping[str, Any], data: Any, **arguments: Any) -> Trainer:
        config = BertConfig(
            vocab_size=16,
            hidden_size=hparams["width"],
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=8,
        )
        return Trainer(
            model=BertForSequenceClassification(config),
            args=TrainingArguments(**arguments, learning_rate=1e-2, per_device_train_batch_size=16),
            train_dataset=data.train,
            eval_dataset=data.dev,
            compute_metrics=accuracy,
        )


def accuracy(found: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float((np.asarray(found.predictions).argmax(1) == found.label_ids).mean())}
