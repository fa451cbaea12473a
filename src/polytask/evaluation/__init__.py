"""Evaluation: predictions, scores, and a look at the data before training."""
