"""What the journal is told of the data before training."""

from collections.abc import Iterator, Mapping

from polytask.build import Experiment
from polytask.data.feed import Feed
from polytask.data.views import count_changes


def feed_notes(experiment: Experiment, feeds: Mapping[str, Feed]) -> Iterator[str]:
    """A sentence on the size of each feed, and one on what cleaning changed."""
    for name, tasks in experiment.tasks_by_feed().items():
        feed, cleaning = feeds[name], experiment.data[tasks[0].data].clean
        counts = feed.counts()
        yield (
            f"Feed {name}, read by {', '.join(task.name for task in tasks)}: {len(feed)} train "
            f"records, {counts.num_tokens} tokens, {counts.num_truncated} texts cut, "
            f"{counts.num_unknown} tokens unknown."
        )
        if cleaning is not None:
            changes = count_changes(feed.records, feed.view, cleaning)
            found = ", ".join(f"{key} {num}" for key, num in sorted(changes.items()))
            yield f"Feed {name}: cleaning changed {found or 'nothing'}."
