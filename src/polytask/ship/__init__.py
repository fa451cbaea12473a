"""After training: predictor, model card, tables."""
