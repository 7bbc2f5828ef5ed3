"""`ebm status`: what runs in the project now, what is scheduled, and how the last runs ended."""

import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import history
from flows.hold import at_work
from flows.locks import holder
from flows.serving import TAG, served
from tasks.artefacts import read_json
from tasks.monitor import clock
from tasks.paths import Paths

SHOWN = 8  # runs


def status(paths: Paths) -> dict[str, Any]:
    """Return all of it; times are seconds since 1970."""
    work = at_work(paths)
    ended = [each for each in history.runs(paths) if each["state"] != "Running"]
    return {
        "running": {**work._asdict(), "names": work.names} if work else None,
        "stages": stages(paths),
        "schedule": scheduled(paths),
        "runs": [
            {
                key: each[key]
                for key in ("names", "command", "by", "began", "ended", "state", "text")
            }
            for each in reversed(ended[-SHOWN:])
        ],
    }


def stages(paths: Paths) -> list[dict[str, Any]]:
    """Return the stages at work, whoever started them, by the locks that they hold."""
    found = []
    for lock in sorted((paths.work / "scratch").glob("*/*/lock")):
        pid = holder(lock)
        if pid is None:
            continue
        name, label = lock.parts[-3:-1]
        stage: dict[str, Any] = {"name": name, "stage": label, "pid": pid}
        stage["since"] = lock.stat().st_mtime
        found.append({**stage, **told(paths.work / "live" / name / f"{label}.json")})
    return found


def told(live: Path) -> dict[str, Any]:
    """Return how far a stage says that it is, nothing where it has not said so."""
    try:
        facts = read_json(live)
        return {key: facts[key] for key in ("done", "total", "left", "text")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def scheduled(paths: Paths) -> dict[str, Any] | None:
    """Return the schedule that is served and, as Prefect's server tells, what is next."""
    pid = holder(paths.work / "serve.lock")
    if pid is None:
        return None
    asked, port = served(paths)
    facts = {"pid": pid, "names": asked.names, "when": asked.words, "port": port}
    return {**facts, "next": upcoming(port, asked.names)}


def upcoming(port: int, names: list[str]) -> dict[str, float | None] | None:
    """Return when each experiment is due, None where the server does not answer."""
    want = {
        "flow_runs": {"tags": {"all_": [TAG]}, "state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "NEXT_SCHEDULED_START_TIME_ASC",
        "limit": 200,
    }
    try:
        answer = ask(port, "flow_runs/filter", want)
    except (OSError, ValueError):
        return None
    due: dict[str, float | None] = dict.fromkeys(names)
    for each in answer:
        name = each["parameters"].get("name")
        if name in due and due[name] is None:
            text = each["next_scheduled_start_time"].replace("Z", "+00:00")
            due[name] = datetime.fromisoformat(text).astimezone(UTC).timestamp()
    return due


def ask(port: int, what: str, body: dict[str, Any]) -> Any:
    """Ask the project's Prefect server, on this machine, by no proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    address, told = f"http://127.0.0.1:{port}/api/{what}", {"Content-Type": "application/json"}
    with direct.open(
        urllib.request.Request(address, json.dumps(body).encode(), told), timeout=10
    ) as answer:
        return json.loads(answer.read() or b"null")


def lines(found: dict[str, Any], now: float) -> list[str]:
    """Say it as a person reads it."""
    return [*running_lines(found, now), *schedule_lines(found, now), *run_lines(found)]


def running_lines(found: dict[str, Any], now: float) -> list[str]:
    """Say what runs."""
    run, said = found["running"], []
    if run:
        names, since = ", ".join(run["names"]), clock(now - run["since"])
        said.append(f"Running: {names}, for {since} (process {run['pid']})")
    elif not found["stages"]:
        return ["Nothing runs."]
    for each in found["stages"]:
        text = f"  {each['name']} {each['stage']}, for {clock(now - each['since'])}"
        if "done" in each:
            text += f": {each['done']} of {each['total']}, {clock(each['left'])} left"
            text += f", {each['text']}" if each["text"] else ""
        said.append(text if run else f"{text} (process {each['pid']}, started by hand)")
    return said


def schedule_lines(found: dict[str, Any], now: float) -> list[str]:
    """Say what is scheduled."""
    plan = found["schedule"]
    if plan is None:
        return ["Nothing is scheduled; ebm serve holds a schedule."]
    said = [
        f"Scheduled {plan['when']} (process {plan['pid']}, page http://127.0.0.1:{plan['port']}/)"
    ]
    if plan["next"] is None:
        return [*said, "  Prefect's server does not answer yet; look at .work/pages/prefect.log"]
    for name, due in plan["next"].items():
        if due is None:
            said.append(f"  {name}: no run is due yet")
        elif due < now:
            said.append(f"  {name}: due, begins when the run before it has ended")
        else:
            said.append(f"  {name}: next at {local(due)}, in {clock(due - now)}")
    return said


def run_lines(found: dict[str, Any]) -> list[str]:
    """Say how the last runs ended."""
    if not found["runs"]:
        return ["No run has ended yet."]
    said = ["Last runs, the newest first:"]
    for each in found["runs"]:
        took = f", {clock(each['ended'] - each['began'])}" if each["ended"] else ""
        by = ", by the schedule" if each["by"] == "schedule" else ""
        said.append(
            f"  {local(each['began'])}  {', '.join(each['names'])}: {each['state']}{took}{by}"
        )
        said.append(f"    {each['text']}")
    return said


def local(moment: float) -> str:
    """Write a moment in this machine's time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
