"""Commands about one run, and about polytask itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from polytask.cli.app import AsJson, DeviceName, LanguageName, Overrides, SplitName, app
from polytask.errors import DataError

_CHUNK = 256


@app.command()
def train(
    experiment: Path,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; default: runs/ and the name.")
    ] = None,
    overrides: Overrides = None,
    *,
    overwrite: Annotated[bool, typer.Option(help="Train anew over an earlier run.")] = False,
) -> None:
    """Train one model on all the tasks of an experiment file."""
    from rich.console import Console

    from polytask import api

    folder = out or Path("runs") / experiment.stem
    trained = api.train(experiment, out=folder, overrides=overrides or (), overwrite=overwrite)
    if not trained.is_first:
        return
    console = Console()
    console.print(
        f"Trained {trained.num_steps} steps in {trained.seconds:.0f} s; the best model is that of "
        f"step {trained.best_step}. Scores on test: polytask evaluate {folder}",
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def evaluate(
    run: Path,
    split: Annotated[SplitName, typer.Option(help="Which split to score.")] = SplitName.TEST,
    overrides: Overrides = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Score a trained run on the test split, task by task and class by class."""
    from rich.console import Console

    from polytask import api

    found = api.evaluate(run, split=split.value, overrides=overrides or ())
    if as_json:
        print(json.dumps({found.split: found.to_json()}, ensure_ascii=False, indent=2))
        return
    console = Console()
    for table in found.class_tables():
        console.print(table)
    console.print(found.table())


@app.command()
def predict(
    run: Path,
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; none: standard input.")] = None,
    file: Annotated[Path | None, typer.Option(help="Read lines from a file.")] = None,
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this task.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write to a file.")] = None,
    device: Annotated[DeviceName, typer.Option(help="Where to compute.")] = DeviceName.AUTO,
) -> None:
    """Answer texts: one JSON line each. A line that is a JSON object is taken as a record."""
    from polytask import api
    from polytask.ship.predictor import in_chunks
    from polytask.ship.streams import read_items, writing

    if file is not None and out is not None and file.resolve() == out.resolve():
        raise DataError(f"{out}: is the file that is read. Give --out another name.")
    model = api.load(run, device.value)
    named = ((f"item {n}", text) for n, text in enumerate(texts, 1)) if texts else read_items(file)
    with writing(out) as stream:
        for chunk in in_chunks(named, _CHUNK):
            places, items = zip(*chunk, strict=True)
            for item, answer in zip(
                items, model(list(items), tasks=tasks, places=places), strict=True
            ):
                given = dict(item) if isinstance(item, dict) else {"text": item}
                stream.write(
                    json.dumps({**given, "predictions": answer}, ensure_ascii=False) + "\n"
                )
            stream.flush()


@app.command()
def check(experiment: Path, overrides: Overrides = None) -> None:
    """Read all data of an experiment and report on it; train nothing."""
    from rich.console import Console

    from polytask import api

    found = api.check(experiment, overrides=overrides or ())
    console = Console()
    for table in api.check_tables(found):
        console.print(table)
    for note in found.notes:
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    for warning in found.warnings:
        console.print(f"Warning: {warning}", style="yellow", highlight=False, soft_wrap=True)


@app.command()
def report(
    run: Path,
    out: Annotated[
        Path | None, typer.Option(help=".html, .md or .json; default: report.html in the folder.")
    ] = None,
    lang: Annotated[LanguageName, typer.Option(help="Of the report.")] = LanguageName.EN,
) -> None:
    """Write what a run, or the studies in a folder, found: one page, Markdown or JSON."""
    from polytask import api

    print(api.report(run, out=out, lang=lang.value))


@app.command()
def mistakes(
    run: Path,
    split: Annotated[SplitName, typer.Option(help="Which split to look at.")] = SplitName.TEST,
) -> None:
    """Tell where a trained run goes wrong, how surely, and which gold labels probably are wrong."""
    from rich.console import Console

    from polytask import api

    api.mistakes(run, split=split.value).show(Console())


@app.command()
def schema() -> None:
    """Print the JSON Schema of an experiment file, for editors."""
    from polytask import api

    print(json.dumps(api.schema(), indent=2, ensure_ascii=False))


@app.command()
def info(*, as_json: AsJson = False) -> None:
    """Print versions and devices, for bug reports."""
    from polytask import api

    found = api.info()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        print(f"{key}: {value}")


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/quickstart"),
) -> None:
    """Train the sample, score it, compare it with a model a task, and say what to try next."""
    import os

    from rich.console import Console

    from polytask import api

    console = Console()
    scores, compared = api.quickstart(out=out, jobs=min(os.cpu_count() or 1, 2))
    console.print(scores.table())
    compared.show(console)
    page = out.with_name(f"{out.name}-compare") / api.REPORT
    print(f"\nThe comparison as a page: {page}")
    text = "my laptop won't connect to the vpn since Monday, Marta needs the report by 3 pm"
    print(f'Next, ask the model something:\n  polytask predict {out} "{text}"')
