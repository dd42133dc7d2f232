"""The optimizers by name."""

from __future__ import annotations

from torch import nn, optim

from tuner.training.hparams import TrainingHparams


def build_optimizer(model: nn.Module, hparams: TrainingHparams) -> optim.Optimizer:
    """Return the optimizer of the model's weights, in torch's fused form, which steps once over all of them."""
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    lr, weight_decay = hparams.learning_rate, hparams.weight_decay
    if hparams.optimizer == "sgd":
        # torch takes Nesterov's form for no momentum as an error; without momentum there is no difference.
        nesterov = hparams.nesterov and hparams.momentum > 0.0
        return optim.SGD(
            parameters, lr, momentum=hparams.momentum, nesterov=nesterov, weight_decay=weight_decay, fused=True
        )
    build = optim.Adam if hparams.optimizer == "adam" else optim.AdamW
    return build(parameters, lr, weight_decay=weight_decay, fused=True)
