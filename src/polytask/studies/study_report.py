"""What a report says of a learning curve and of how tasks act on each other."""

import math

from polytask.studies.affinity import Affinity
from polytask.studies.charts import line_chart
from polytask.studies.curve import Curve
from polytask.studies.document import Chart, Section
from polytask.studies.group import Grouping
from polytask.studies.language import Language
from polytask.studies.maps import matrix


def curve_section(curve: Curve, say: Language) -> Section:
    """Scores over rows of train, whose logarithm is drawn."""
    lines = {
        say("alone"): [(one.rows, one.alone) for one in curve.points],
        say("together"): [(one.rows, one.together) for one in curve.points],
    }
    drawn = {name: [(math.log10(x), y) for x, y in points] for name, points in lines.items()}
    return Section(
        say("Learning curve of {task}", task=curve.task),
        say("{metric} on test by rows of train.", metric=curve.metric),
        charts=[Chart(line_chart(drawn, say("rows"), lambda x: f"{10**x:,.0f}"), lines)],
        tables=[curve.listed(say)],
    )


def affinity_section(found: Affinity, say: Language) -> Section:
    """Maps of tasks against tasks: cosines, look-ahead, linearised."""
    return Section(
        say("How tasks act on each other"),
        say(
            "{num} looks during one joint run, which took {share:.1%} of the time of training. Red "
            "helps, blue hurts.",
            num=found.num_looks,
            share=found.share,
        ),
        charts=[
            Chart(
                matrix(found.tasks, found.tasks, {pair: one.mean for pair, one in pairs.items()}),
                [[one, other, value.mean] for (one, other), value in pairs.items()],
                title,
            )
            for title, pairs in found.named(say)
        ],
        tables=found.tables(say),
    )


def group_section(found: Grouping, say: Language) -> Section:
    """The groups, and what was tried."""
    return Section(
        say("Which tasks to train together"), told=found.told(say), tables=found.tables(say)
    )
