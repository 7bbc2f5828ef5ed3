"""The commands of `ebm` on versions: two of them compared, one promoted."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.command import HERE, Force, Json, command, show_table

TRAINED = "An experiment of params.yaml, or the id of an MLflow run (7 characters or more)"
SIDE = "NAME, NAME@REVISION of git, or the id of an MLflow run (7 characters or more)."


@command
def compare(
    a: Annotated[str, typer.Argument(help=SIDE)],
    b: Annotated[str, typer.Argument(help="The other one, named alike.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="A file that ends with .html; results/compare/ if none.")
    ] = None,
    as_json: Json = False,
    force: Force = False,
) -> None:
    """Compare two experiments, or two states of one: settings, figures, curves and pictures.

    Printed are the settings that differ and the figures; the page, one file that needs no network,
    has the curves over each other and the pictures side by side too.

    Examples: [bold]ebm compare multigrid-digits multigrid-digits-joint[/bold];
    [bold]ebm compare multigrid-digits@HEAD~1 multigrid-digits[/bold], before and after;
    [bold]ebm compare 3f9c2ab 81d04e7[/bold], two runs of MLflow.
    """
    from flows import compared
    from tasks.paths import Paths

    told = compared.compare(Paths(), a, b, HERE.get(), out, force)
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    for note in compared.notes(told):
        typer.echo(note)
    for table in compared.shown(told):
        show_table(table)
    typer.echo(f"Curves and pictures: {told['page']}")


@command
def promote(
    name: Annotated[str, typer.Argument(help=f"{TRAINED}; of a run of several, RUN:NAME.")],
    *,
    alias: Annotated[str, typer.Option(help="What the version is to be called.")] = "champion",
    version: Annotated[
        int | None, typer.Option(min=1, help="An earlier version, in place of the model here.")
    ] = None,
) -> None:
    """Register an experiment's trained model in MLflow under a name that stays: its alias.

    It is the model in models/, or the one that a run of MLflow trained. The same model is
    registered once, however often it is promoted. In Python, `tasks.registry.load(NAME, ALIAS)` is
    then the model.

    Examples: [bold]ebm promote multigrid-digits[/bold]; what a run of MLflow trained:
    [bold]ebm promote 3f9c2ab[/bold]; back to what it was before:
    [bold]ebm promote multigrid-digits --version 1[/bold]
    """
    from flows.results import experiments, pick
    from tasks import registry
    from tasks.mlflow_store import RUN
    from tasks.paths import Paths

    paths = Paths()
    found = experiments(paths)
    if name in found or not RUN.fullmatch(name.partition(":")[0]):
        pick(found, name)
        said = registry.promote(name, alias, paths, version)
    elif version is None:
        from tasks.run_promoted import promote_run  # it brings torch, which takes seconds

        said = promote_run(name, alias, paths)
    else:
        raise ValueError(f"{name} is a run and --version {version} an experiment's; give one alone")
    for line in said:
        typer.echo(line)
