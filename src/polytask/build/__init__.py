"""The one place where the name of a component of the model becomes an object."""

from polytask.build.data import (
    check_labels,
    feed_sizes,
    fit_heads,
    load_data,
    make_feeds,
    make_model,
    split_records,
    task_records,
)
from polytask.build.experiment import Experiment, layout, read_experiment
from polytask.build.folder import (
    EXPERIMENT_FILE,
    data_lines,
    described,
    file_digest,
    open_model,
    save_model,
    versions,
    versions_of,
)

__all__ = [
    "EXPERIMENT_FILE",
    "Experiment",
    "check_labels",
    "data_lines",
    "described",
    "feed_sizes",
    "file_digest",
    "fit_heads",
    "layout",
    "load_data",
    "make_feeds",
    "make_model",
    "open_model",
    "read_experiment",
    "save_model",
    "split_records",
    "task_records",
    "versions",
    "versions_of",
]
