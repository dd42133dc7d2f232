"""Training one model: the loop, its hyperparameters, evaluation and checkpoints. No Ray."""
