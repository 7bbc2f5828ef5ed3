"""`ebm serve`: Prefect's server and a schedule of runs, on the loopback address, until Ctrl-C."""

import fcntl
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flows import dashboard
from flows.dashboard import Page, check_port, end, interrupt, look, start, wait_until_open
from flows.gate import HOST
from flows.hold import at_work
from flows.locks import holder
from tasks.artefacts import read_json, write_json
from tasks.paths import Paths
from tasks.scratch import Busy, parent

TAG = "ebm-serve"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TITLE = "Schedule"


class Schedule(NamedTuple):
    """When which experiments run.

    Attributes:
        cron: minute, hour, day, month and weekday, in the time zone.
        every: seconds between runs, where there is no cron.
        timezone: a name as in Europe/Paris.
    """

    names: list[str]
    cron: str | None
    every: float | None
    timezone: str

    @property
    def words(self) -> str:
        """When, in words."""
        if self.cron:
            return f"at {self.cron!r}, {self.timezone}"
        return f"every {timedelta(seconds=self.every or 0)}"


def schedule(
    names: Sequence[str], cron: str | None, every: str | None, timezone: str | None
) -> Schedule:
    """Return what was asked for on the command line.

    Raises:
        ValueError: not one of --cron and --every, or one that says no time.
    """
    if (cron is None) == (every is None):
        raise ValueError('say when: --cron "0 3 * * *" (at three each night) or --every 6h')
    zone = timezone or local_zone()
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"--timezone {zone} is unknown; write one as Europe/Paris") from None
    if cron is not None:
        check_cron(cron)
    seconds = None if every is None else duration(every)
    return Schedule(list(dict.fromkeys(names)), cron, seconds, zone)


def check_cron(text: str) -> None:
    """Refuse what is no time in cron's way.

    Raises:
        ValueError: and what one looks like.
    """
    from flows.environment import QUIET, prepare_environment, variables

    with variables({name: os.environ.get(name) for name in ("PREFECT_HOME", "PATH", *QUIET)}):
        prepare_environment()  # for this import alone: Prefect's server is started with the rest
        from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=text)
    except ValueError:
        raise ValueError(
            f"--cron {text!r} is no time; write minute, hour, day, month and weekday, as "
            '"30 2 * * mon-fri" (half past two on weekdays)'
        ) from None


def duration(text: str) -> float:
    """Return the seconds of a length of time.

    Raises:
        ValueError: it is none.

    >>> duration("1h30m"), duration("45s")
    (5400.0, 45.0)
    """
    if not re.fullmatch(r"(\d+[smhd])+", text) or not re.search(r"[1-9]", text):
        raise ValueError(f"--every {text} is no length of time; write 30m, 6h, 1d or 1h30m")
    return float(sum(int(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)([smhd])", text)))


def local_zone() -> str:
    """Return the name of this machine's time zone, UTC where it has none."""
    place = Path("/etc/localtime").resolve().as_posix()
    named = os.environ.get("TZ", "").removeprefix(":") or place.partition("zoneinfo/")[2]
    with suppress(KeyError, OSError, ValueError):
        return ZoneInfo(named).key
    return "UTC"


def serve(paths: Paths, asked: Schedule, port: int, say: Callable[[str], None] = print) -> None:
    """Hold a schedule until Ctrl-C, and run what is due; end what was started.

    Raises:
        Busy: a schedule of this project is served already.
        ValueError: the port is in use.
        RuntimeError: the server or the schedule ended by itself.
    """
    before = signal.signal(signal.SIGTERM, interrupt)
    running: dict[str, Any] = {}
    try:
        with held(paths, asked, port):
            try:
                run(paths, asked, port, running, say)
            except KeyboardInterrupt:
                say("Ending the schedule.")
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):  # a second one must not cut it off
                    signal.signal(number, signal.SIG_IGN)
                finish(paths, running, say)  # until then the schedule is held, and `ebm stop` waits
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, before)


def run(
    paths: Paths, asked: Schedule, port: int, running: dict[str, Any], say: Callable[[str], None]
) -> None:
    """Start the server, then the schedule, and see that both run until Ctrl-C.

    Args:
        running: is given each process, by its title, as soon as it is started.

    Raises:
        ValueError: the port is in use.
        RuntimeError: the server or the schedule ended by itself.
    """
    logs = paths.work / "pages"
    check_port(port, "--port-prefect")
    running["Prefect"] = start(server_page(paths, port), logs)
    say("Prefect is starting (up to a minute)")
    wait_until_open(server_page(paths, port), running, logs)
    running[TITLE] = start(schedule_page(asked, port), logs)
    say(f"{', '.join(asked.names)}: {asked.words}")
    say(f"The page: http://{HOST}:{port}/deployments")
    say("ebm status says what runs and what is next. Ctrl-C or ebm stop ends this.")
    while True:
        look(running, logs)
        time.sleep(0.5)


def server_page(paths: Paths, port: int) -> Page:
    """Return Prefect's page, its log at Prefect's own levels."""
    return dashboard.prefect_page(paths.root.resolve(), port)


def schedule_page(asked: Schedule, port: int) -> Page:
    """Return the process that holds the schedule, which is no page, but is started as one."""
    environment = {
        "PREFECT_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "flows.scheduler", json.dumps(asked)]
    return Page(TITLE, HOST, port, command, environment, "")


def finish(paths: Paths, running: dict[str, Any], say: Callable[[str], None]) -> None:
    """End a run that the schedule began, as Ctrl-C does; then the schedule; then the server."""
    process, found = running.get(TITLE), at_work(paths)
    if process is not None and found and process.pid in ancestors(found.pid):
        say(f"Stopping the run of {', '.join(found.names)}; it goes on where it was next time.")
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGINT)
        until = time.monotonic() + 20
        while at_work(paths) == found and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(2)  # for Prefect to hear of it
    for title in (TITLE, "Prefect"):
        end([running[title]] if title in running else [])


def ancestors(pid: int) -> Iterator[int]:
    """Yield the processes that a process stems from."""
    above = parent(pid)
    while above and above > 1:
        yield above
        above = parent(above)


@contextmanager
def held(paths: Paths, asked: Schedule, port: int) -> Iterator[None]:
    """Be the one schedule of the project, and say which one.

    Raises:
        Busy: there is one.
    """
    paths.work.mkdir(parents=True, exist_ok=True)
    handle = os.open(paths.work / "serve.lock", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 1000).decode() or "another process"
            raise Busy(f"{holder} serves a schedule of this project; ebm stop ends it") from None
        os.ftruncate(handle, 0)
        write_json(paths.work / "serve.json", {**asked._asdict(), "port": port})
        os.pwrite(handle, f"process {os.getpid()} ({', '.join(asked.names)})".encode(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def served(paths: Paths) -> tuple[Schedule, int]:
    """Return the schedule that was served last, and the port of its server."""
    facts = read_json(paths.work / "serve.json")
    port = facts.pop("port")
    return Schedule(**facts), port


def page(paths: Paths) -> str | None:
    """Return the address of Prefect's page where a schedule is served, None where none is."""
    if holder(paths.work / "serve.lock") is None:
        return None
    return f"http://{HOST}:{served(paths)[1]}/"
