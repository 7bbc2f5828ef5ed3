"""`ebm run`: the flow, shown and tracked, and what the person sees at its end."""

import shlex
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from flows import history, overrides, results
from flows.display import Display
from flows.experiment import Hooks, Manner, Outcome, Row, Work, run_experiments
from flows.graph import Stage, all_stages, open_repo, stages_of, status, would_run
from flows.interrupts import stoppable
from tasks import settings
from tasks.monitor import clock
from tasks.paths import Paths
from tasks.refusals import pick
from tasks.tracking import Tracker

DID = ("Ran", "Restored")


class Request(NamedTuple):
    """What was asked for on the command line; `typed` is the command where it is not `ebm run`."""

    names: list[str]
    only: str | None = None
    changes: tuple[str, ...] = ()
    force: bool = False
    typed: str = ""

    @property
    def command(self) -> str:
        """The command that asks for this."""
        if self.typed:
            return self.typed
        words = ["ebm", "run", *self.names, *(["--only", self.only] if self.only else [])]
        words += [word for change in self.changes for word in ("--set", change)]
        return shlex.join([*words, *(["--force"] if self.force else [])])


class Finished(NamedTuple):
    """A flow that has ended.

    Attributes:
        outcome: what became of its stages.
        pages: the reports of the experiments that went well.
        behind: the stages that a flow of one stage alone left out of date, by experiment.
        faults: why a report could not be written, by experiment.
    """

    outcome: Outcome
    pages: dict[str, Path]
    behind: dict[str, list[str]]
    faults: dict[str, str]


def run_tracked(
    paths: Paths,
    asked: Request,
    show: Callable[[Any], None],
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> bool:
    """Run experiments and show their results; tell whether all went well.

    Args:
        show: prints a table.
        say: prints a line.
        complain: prints a line on stderr.

    Raises:
        ValueError: a name, a setting or the tracking database is wrong; nothing has run.
        Busy: another process is at work in the project.
    """
    done = follow(paths, asked, overrides.parse(asked.changes, asked.names))
    conclude(paths, done.outcome, done.pages, show, say, complain)
    for name, stages in done.behind.items():
        say(
            f"the report of {name} is left as it was: {', '.join(stages)} have not followed; "
            f"run ebm run {name}"
        )
    return done.outcome.ok


def follow(
    paths: Paths, asked: Request, values: Mapping[str, Any], manner: Manner | None = None
) -> Finished:
    """Run experiments, shown and tracked, and write the reports of those that went well.

    Args:
        values: settings of this run by full key.
        manner: how the stages are run.

    Raises:
        ValueError: a name, a setting or the tracking database is wrong; nothing has run.
        Busy: another process is at work in the project.
    """
    manner = manner or Manner()
    params = settings.read(paths.params, values)
    for name in asked.names:
        pick(params.experiments, name, "experiment")
    title = manner.title or ", ".join(asked.names)
    pages: dict[str, Path] = {}
    behind: dict[str, list[str]] = {}
    faults: dict[str, str] = {}
    with (
        stoppable(),
        history.kept(paths, asked.names, asked.command) as entry,
        Display(paths) as display,
        Tracker(paths, params, title, asked.command, display.say) as tracker,
    ):

        def plan(work: Work) -> None:
            tracker.catch_up()
            display.plan(work)

        def start(stage: Stage, flow_run: str | None) -> None:
            display.start(stage, flow_run)
            tracker.stage_started(stage.address, stage.verb, stage.name, stage.part, flow_run)

        def end(stage: Stage, row: Row) -> None:
            tracker.stage_ended(stage.address, row.state)
            display.end(stage, row)

        def after(outcome: Outcome) -> None:
            tracker.close()  # so that the reports know MLflow's ids
            flow = facts(asked, outcome, tracker.flow, values)
            if outcome.ok and asked.only:
                behind.update(left_behind(paths, outcome.names, values))
            noted = faults if manner.go_on else None
            pages.update(reports(paths, outcome, flow, behind, noted, display.say))

        hooks = Hooks(plan, start, end, after, display.say)
        outcome = run_experiments(
            asked.names, asked.only, asked.force, values, hooks=hooks, paths=paths, manner=manner
        )
        history.conclude(entry, outcome)
    return Finished(outcome, pages, behind, faults)


def facts(
    asked: Request, outcome: Outcome, parent: str | None, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the report says of the flow."""
    known = {"mlflow_parent": parent, "prefect_run": outcome.flow_run, "overrides": dict(values)}
    return {"command": asked.command, **{key: value for key, value in known.items() if value}}


def left_behind(
    paths: Paths, names: Sequence[str], values: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the stages that a flow of one stage alone left out of date, by experiment."""
    file = paths.work / "params.yaml" if values else None
    with open_repo(paths, file) as repo:
        every = all_stages(repo)
        asked = {name: stages_of(every, [name]) for name in names}
        left = {n: list(would_run(s, status(repo, paths, s, file))) for n, s in asked.items()}
    return {name: stages for name, stages in left.items() if stages}


def reports(
    paths: Paths,
    outcome: Outcome,
    flow: dict[str, Any],
    behind: Container[str],
    faults: dict[str, str] | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, Path]:
    """Render the reports of the experiments that went well, where something is new.

    Args:
        behind: experiments whose figures are not of this flow's settings: theirs stay.
        faults: where it is noted why a report could not be written, by experiment; None raises it.

    Returns:
        The pages by name.
    """
    from tasks import settings
    from tasks.report import leaderboard, render

    pages: dict[str, Path] = {}
    for name in outcome.names:
        own, page = outcome.of(name), paths.results(name) / "report.html"
        if name in behind or not own.ok:
            continue
        new = any(row.state in DID for row in own.rows)
        stale = new or not page.is_file() or results.orphans(paths, name)
        try:
            pages[name] = render(name, paths, flow) if stale else page
        except Exception as error:  # of one of many: the others have theirs
            if faults is None:
                raise
            faults[name] = sentence(error)
    new = bool(pages) and any(row.state in DID for row in outcome.rows)
    if new or (faults is not None and not (paths.root / "results" / "index.html").is_file()):
        try:
            leaderboard.render(paths, settings.read(paths.params))
        except Exception as error:  # of another experiment's file: what ran here went well
            say(f"results/index.html is left as it was: {sentence(error)}")
    return pages


def sentence(error: Exception) -> str:
    """Return what an error says, in a line."""
    return " ".join(str(error).split()) or type(error).__name__


def conclude(
    paths: Paths,
    outcome: Outcome,
    pages: Mapping[str, Path],
    show: Callable[[Any], None],
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> None:
    """Show what each stage did and what was measured, and say where to look first.

    Args:
        pages: reports by experiment; figures without one are not of this flow, so not shown.
    """
    if any(row.state != "UpToDate" for row in outcome.rows):
        show(stage_table(outcome))
    rows = results.result_rows(paths, pages)
    if rows:
        show(results.result_table(rows))
    if pages:
        say(f"Look first at {' and '.join(str(page.resolve()) for page in pages.values())}")
    for row in outcome.rows:
        if row.state == "Failed":
            complain(f"{row.address} failed: {row.reason}. Earlier results are as they were.")


def stage_table(outcome: Outcome) -> Table:
    """Return what became of the stages."""
    table = Table("stage", "", "time", "why", title=f"{clock(outcome.seconds)} in all")
    for row in outcome.rows:
        table.add_row(row.address, row.state, clock(row.seconds) if row.seconds else "", row.reason)
    return table
