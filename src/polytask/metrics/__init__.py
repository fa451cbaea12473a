"""Metrics: gold and predicted to numbers. No torch here."""
