"""The flow: the stages of experiments, in the order of DVC's graph, each run by DVC.

Order: the project is held, what a killed run left is repaired, DVC is asked once what changed, all
is checked, and only then stages run, as tasks of a Prefect flow. Stages that do not stand on each
other run side by side; their threads are their settings', so that never changes bits.

`overrides` (--set) leave params.yaml untouched, whatever happens: the changed settings are written
to .work/params.yaml, which DVC and the stages read in its place. dvc.lock then holds the changed
values, and models, samples and results are of them. A later run without --set finds the values of
params.yaml changed back: DVC restores from its run cache what it has there (data, models, metrics),
and the cheap stages whose pictures git keeps run again. `ebm keep` writes .work/overrides.json, the
overrides last used, into params.yaml; nothing has to run again then.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIG_DFL, SIGTERM, signal
from threading import current_thread, main_thread
from typing import Any

import yaml

from flows import artifacts, engines, guard, lockfile, overrides
from flows.environment import prepare_environment
from flows.graph import Stage, all_stages, open_repo, stages_of, status, would_run
from flows.hold import hold
from flows.room import need_of
from flows.runner import carry, interrupted, silent
from flows.server import server
from flows.side_by_side import Run
from flows.work import Hooks, Manner, Order, Outcome, Row, Work
from tasks import settings
from tasks.artefacts import write_text
from tasks.params_file import override, read_yaml
from tasks.paths import Paths
from tasks.refusals import pick
from tasks.settings import Params

__all__ = ["Hooks", "Manner", "Outcome", "Row", "Work", "run_experiments"]


def run_experiments(
    names: Sequence[str],
    only: str | None = None,
    force: bool = False,
    changes: Mapping[str, Any] | None = None,
    *,
    hooks: Hooks | None = None,
    paths: Paths | None = None,
    manner: Manner | None = None,
) -> Outcome:
    """Run what experiments need and is not up to date; the current folder is the project's.

    Where nothing is to be done, no flow is started.

    Args:
        names: experiments of params.yaml.
        only: a stage, as `flows.graph.pick` takes it: run that alone.
        force: run what is up to date too, and from the start.
        changes: settings of this run by dotted key; params.yaml is not touched.
        hooks: who is told.
        manner: how the stages are run.

    Raises:
        ValueError: a wrong setting, name or file; nothing was begun.
        Busy: another process is at work here.
    """
    paths, hooks, begun = paths or Paths(), hooks or Hooks(), time.monotonic()
    manner = manner or Manner()
    engines.check(manner.engine)
    prepare_environment(paths.root)
    params = settings.read(paths.params, changes)
    for name in names:
        pick(params.experiments, name, "experiment")
    holder = [manner.title] if manner.title else names
    with hold(paths, holder) as repaired, settings_file(paths, changes) as file:
        for text in repaired:
            hooks.say(text)
        work = plan(paths, params, names, only, force, file=file, manner=manner)
        hooks.plan(work)
        if work.reasons:
            flow_run, rows = carry_out(paths, params, work, hooks)
        else:
            flow_run, rows = None, [Row(s.address, "UpToDate", 0.0, "") for s in work.stages]
        outcome = Outcome(list(names), rows, time.monotonic() - begun, flow_run, work.needs)
        hooks.after(outcome)
    return outcome


@contextmanager
def settings_file(paths: Paths, changes: Mapping[str, Any] | None) -> Iterator[Path | None]:
    """Write the changed settings to a file of their own, for the stages of this run."""
    if not changes:
        yield None
        return
    overrides.remember(paths, changes)
    file = paths.work / "params.yaml"
    content = override(read_yaml(paths.params), changes)
    write_text(file, yaml.safe_dump(content, sort_keys=False))
    yield file


def plan(
    paths: Paths,
    params: Params,
    names: Sequence[str],
    only: str | None,
    force: bool,
    *,
    file: Path | None,
    manner: Manner,
) -> Work:
    """Ask DVC what changed, once for all, and check what is to be tried."""
    with open_repo(paths, file) as repo:
        every = all_stages(repo)
        asked = stages_of(every, names, only)
        reasons = would_run(asked, status(repo, paths, asked, file), force)
    if not reasons:
        lockfile.keep(paths)
    tried = [s for s in asked if s.address in reasons]
    refused: dict[str, str] = {}
    there = gpus_there(params, tried, manner)
    if manner.go_on:
        refused = guard.refusals(paths, params, every, tried, force, there=there)
    else:
        guard.check(paths, params, every, tried, force, there=there)
    here = {s.address for s in asked}
    needs = {n: [s.address for s in stages_of(every, [n]) if s.address in here] for n in names}
    return Work(list(names), asked, reasons, force, file, needs, refused, manner)


def gpus_there(params: Params, tried: Sequence[Stage], manner: Manner) -> int | None:
    """Return the GPUs of a cluster's worker; None where this machine's count, or none is needed."""
    if engines.elsewhere(manner.engine) and any(need_of(params, s).gpus for s in tried):
        return engines.gpus_of_a_worker()
    return None


def carry_out(
    paths: Paths, params: Params, work: Work, hooks: Hooks
) -> tuple[str | None, list[Row]]:
    """Run the stages as tasks of a Prefect flow; return its id and what became of each stage.

    Raises:
        RuntimeError: Prefect broke; what had run stands.
        KeyboardInterrupt: a person ended it; the stages that ran are as before.
    """
    run = Run(paths, params, work, hooks)
    with server(paths):
        try:
            state = started(run, params)
        except Exception as error:
            if interrupted(error):
                raise KeyboardInterrupt from None
            raise RuntimeError(broken(error, work.manner.engine)) from error
    if state.is_crashed() or not run.whole:
        raise RuntimeError(broken(state.message or "it ended", work.manner.engine))
    return run.flow_run, run.table()


def broken(why: object, engine: str) -> str:
    """Say that the flow itself broke, and what to do.

    >>> broken("Nanny failed to start.", "dask")  # doctest: +NORMALIZE_WHITESPACE
    'Prefect could not run the flow: Nanny failed to start; a worker of Dask was killed or could not
    start, perhaps. What has run stands; run the same command again'
    >>> broken("it ended", "threads")
    'Prefect could not run the flow: it ended. What has run stands; run the same command again'
    """
    worker = "; a worker of Dask was killed or could not start, perhaps" if engine == "dask" else ""
    reason = str(why).strip().removesuffix(".")
    again = "What has run stands; run the same command again"
    return f"Prefect could not run the flow: {reason}{worker}. {again}"


def started(run: Run, params: Params) -> Any:
    """Run the flow, with its tags; return the state in which it ended."""
    from prefect import tags

    with tags(*artifacts.flow_tags(params, run.work.names)):
        return flow_of(run, params)(run.work.names, run.work.force, return_state=True)


def flow_of(run: Run, params: Params) -> Any:
    """Return the Prefect flow of the work: a task a stage, each after those it stands on."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.context import TagsContext
    from prefect.runtime import flow_run
    from prefect.states import Completed, Failed

    work = run.work
    runner = engines.task_runner(work.manner.engine, run.workers)
    say = run.hooks.say if work.manner.engine == "threads" else silent

    @task(name="stage", cache_policy=NO_CACHE, task_run_name="{order.address}")
    def stage(order: Order) -> Any:
        row = artifacts.followed(order, lambda: carry(order, say))
        kind = Failed if row.state == "Failed" else Completed
        return kind(name=row.state, message=row.reason or row.address, data=row)

    def submit(order: Order, **after: Any) -> Any:
        marks = TagsContext(current_tags=artifacts.stage_tags(params, order.stage))
        with marks, run.reserve(order):
            return stage.submit(order, **after)

    @flow(name="experiments", flow_run_name=run.title, task_runner=runner)
    def experiments(names: list[str], force: bool) -> Any:
        run.flow_run = str(flow_run.id)
        if current_thread() is main_thread():  # Prefect would wait for the trainer to end by itself
            signal(SIGTERM, SIG_DFL)
        run.all(submit)
        artifacts.show_results(run.paths, params, work.needs, run.rows)
        failed = [row.address for row in run.rows.values() if row.state == "Failed"]
        return Failed(message=", ".join(failed)) if failed else Completed()

    return experiments
