"""What stands beside a run goes wrong: a second user, MLflow, Prefect, the clock."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.faults.trial import TRACEBACK, Trial, ended_well, finish, note, training
from benchmarks.sandbox import Said
from tasks.artefacts import read_json


def two_users(trial: Trial) -> str:
    """Two runs of the same experiment, started at once."""
    both = [trial.box.start() for _ in range(2)]
    ran, turned_away = sorted((trial.box.end(each) for each in both), key=lambda said: said.code)
    if (ran.code, turned_away.code) != (0, 1):
        return f"they ended with {ran.code}, {turned_away.code}: one must run and one be refused"
    refused = turned_away.text
    if "is at work in this project" not in refused or TRACEBACK in refused:
        return f"the second is not told why: {refused[-200:]}"
    trial.heard.append(refused.strip().splitlines()[-1])
    return finish(trial)


def mlflow_locked(trial: Trial) -> str:
    """MLflow's database held by another program: refused before any work."""
    database = sqlite3.connect(trial.box.root / "mlflow.db", isolation_level=None)
    try:
        database.execute("BEGIN EXCLUSIVE")
        said = trial.box.run()
    finally:
        database.close()
    return refused_for_database(trial, said) or finish(trial)


def mlflow_locked_in_mid_run(trial: Trial) -> str:
    """MLflow's database held by another program from mid-run to the end: work goes on."""
    with training(trial) as run:
        database = sqlite3.connect(trial.box.root / "mlflow.db", isolation_level=None, timeout=60)
        try:
            database.execute("BEGIN EXCLUSIVE")
            said = trial.box.end(run)
        finally:
            database.close()
    return ended_well(trial, said) or finish(trial)


def mlflow_corrupted_in_mid_run(trial: Trial) -> str:
    """MLflow's database overwritten with nonsense in mid-run: work goes on."""
    path = trial.box.root / "mlflow.db"
    with training(trial) as run:
        path.write_bytes(trial.dice.randbytes(path.stat().st_size))
        said = trial.box.end(run)
    return ended_well(trial, said) or moved_away(trial, path)


def mlflow_deleted(trial: Trial) -> str:
    """MLflow's database deleted in mid-run."""
    with training(trial) as run:
        (trial.box.root / "mlflow.db").unlink()
        said = trial.box.end(run)
    return ended_well(trial, said) or finish(trial)


def mlflow_corrupt(trial: Trial) -> str:
    """MLflow's database full of nonsense: refused before any work."""
    path = trial.box.root / "mlflow.db"
    path.write_bytes(trial.dice.randbytes(path.stat().st_size))
    return refused_for_database(trial, trial.box.run()) or moved_away(trial, path)


def moved_away(trial: Trial, path: Path) -> str:
    """Do what the refusal advises; return what is wrong then."""
    path.rename(path.with_suffix(".old"))
    return finish(trial)


def refused_for_database(trial: Trial, said: Said) -> str:
    """Return what is wrong with how a run is refused whose database cannot be written."""
    if said.code != 1 or "mlflow.db cannot be written" not in said.text:
        return f"it is not refused before any work: {said.text[-300:]}"
    return note(trial, said)


def prefect_stopped(trial: Trial) -> str:
    """The Prefect server that a run talks to ends in mid-run, and another starts."""
    from flows.server import free_port, start, wait_for

    port, log = free_port(), trial.box.root / ".work" / "server.log"
    log.parent.mkdir(exist_ok=True)
    server = start(port, log)
    try:
        wait_for(server, port, log)
        with training(trial, PREFECT_API_URL=f"http://127.0.0.1:{port}/api") as run:
            server.kill()
            server.wait()
            server = start(port, log)
            said = trial.box.end(run)
    finally:
        server.kill()
        server.wait()
    return ended_well(trial, said) or finish(trial)


def clock_jumps(trial: Trial) -> str:
    """A clock that goes back a day, or forth, while a run is at work.

    A surrogate: Python's own time.time is moved in every process of the run. MLflow must have
    been told of every stage all the same.
    """
    days = trial.dice.choice([-1, 1])
    folder = trial.box.root / ".work" / "clock"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sitecustomize.py").write_text(
        "import time\nreal, begun = time.time, time.monotonic()\n"
        f"jump = lambda: {days * 86400} if time.monotonic() - begun > 3 else 0\n"
        "time.time = lambda: real() + jump()\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
    )
    said = trial.box.run(PYTHONPATH=f"{trial.box.root}{os.pathsep}{folder}")
    return ended_well(trial, said) or untold(trial.box.root) or finish(trial)


def untold(root: Path) -> str:
    """Return of which stages MLflow has no record, or no figures where they have learned."""
    missing = []
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        for file in sorted((root / ".work" / "runs").rglob("*.json")):
            record = read_json(file)
            run, learns = record.get("mlflow_run"), record["stage"] == "train"
            tags = "SELECT value FROM tags WHERE run_uuid = ? AND key = 'fingerprint'"
            told = database.execute(tags, [run]).fetchall() == [(record["fingerprint"],)]
            curves = "SELECT count(*) FROM metrics WHERE run_uuid = ?"
            (figures,) = database.execute(curves, [run]).fetchone()
            missing += [] if told and (figures or not learns) else [file.stem]
    return f"MLflow was not told all of {', '.join(missing)}" if missing else ""
