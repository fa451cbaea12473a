"""Experiment files: from YAML to options that are checked against the signatures of components."""
