"""Commands about many runs."""

from pathlib import Path
from typing import Annotated

import typer

from polytask.cli.app import AffinityName, Overrides, app


@app.command()
def sweep(
    experiment: Path,
    vary: Annotated[
        list[str],
        typer.Option(metavar="KEY=VALUE", help="A value to try; say a key again for another."),
    ],
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 1.")] = 3,
    out: Annotated[
        Path | None, typer.Option(help="Folder of all runs; default: runs/ and the name, -sweep.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train every combination of values with several seeds and compare the scores on dev."""
    from rich.console import Console

    from polytask import api

    found = api.sweep(experiment, vary=vary, seeds=seeds, out=out, overrides=overrides or ())
    Console().print(found.listed().table())


@app.command()
def compare(
    experiment: Path,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 1.")] = 5,
    margin: Annotated[
        float, typer.Option(min=0, help="A difference smaller than this is as good as none.")
    ] = 0.01,
    jobs: Annotated[int, typer.Option(min=1, help="How many models to train at a time.")] = 1,
    longer: Annotated[
        int, typer.Option(min=1, help="Times as many epochs that a task alone may take.")
    ] = 3,
    balancing: Annotated[
        list[str] | None, typer.Option(metavar="KINDS", help="Other kinds of balancing to try.")
    ] = None,
    mixing: Annotated[
        list[str] | None, typer.Option(metavar="KINDS", help="Other kinds of mixing to try.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of all runs; default: runs/ and the name, -compare.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train all tasks together and each alone, and say for each whether sharing helped."""
    from rich.console import Console

    from polytask import api

    found = api.compare(
        experiment,
        seeds=seeds,
        margin=margin,
        jobs=jobs,
        longer=longer,
        balancing=balancing or (),
        mixing=mixing or (),
        out=out,
        overrides=overrides or (),
    )
    found.show(Console())


@app.command()
def curve(
    experiment: Path,
    task: Annotated[str, typer.Option(help="The task whose rows are taken away.")],
    rows: Annotated[
        list[int] | None,
        typer.Option(help="So many rows; say it again for more. Default: 10, 30, 100 per cent."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 1.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="How many models to train at a time.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of all runs; default: runs/ and the names, -curve.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train a task on few and on more rows, alone and together: the rows that sharing saves."""
    from rich.console import Console

    from polytask import api

    found = api.curve(
        experiment,
        task,
        rows=rows or (),
        seeds=seeds,
        jobs=jobs,
        out=out,
        overrides=overrides or (),
    )
    Console().print(found.listed().table())


@app.command()
def affinity(
    experiment: Path,
    every: Annotated[int, typer.Option(min=1, help="Steps from one look to the next.")] = 30,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; default: runs/ and the name, -affinity.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train all tasks together once and tell how they act on each other."""
    from rich.console import Console

    from polytask import api

    found = api.affinity(experiment, every=every, out=out, overrides=overrides or ())
    console = Console()
    for listed in found.tables():
        console.print(listed.table())


@app.command()
def group(
    experiment: Path,
    models: Annotated[int, typer.Option(min=1, help="How many models there may be.")] = 2,
    by: Annotated[AffinityName, typer.Option(help="What foretells.")] = AffinityName.AHEAD,
    verify: Annotated[
        bool, typer.Option("--verify", help="Train the groups for real, with several seeds.")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Steps from one look to the next.")] = 30,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds to verify with.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="How many models to train at a time.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Folder of all runs; default: runs/ and the name, -group.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Say which tasks to train together in so many models; write an experiment file for each."""
    from rich.console import Console

    from polytask import api

    found = api.group(
        experiment,
        models=models,
        by=by.value,
        verify=verify,
        every=every,
        seeds=seeds,
        jobs=jobs,
        out=out,
        overrides=overrides or (),
    )
    console = Console()
    for listed in found.tables():
        console.print(listed.table())
    for sentence in found.told():
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)
