"""`ebm suite`: many experiments as one flow; what became of each, and the leaderboard."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from flows import engines, overrides
from flows.choice import Choice, choose
from flows.experiment import Manner, Outcome
from flows.graph import DATA
from flows.running import DID, Finished, Request, follow
from flows.side_by_side import gpus
from tasks import settings
from tasks.monitor import clock
from tasks.paths import Paths

BAD = ("failed", "not reached")


class Asked(NamedTuple):
    """What was asked for on the command line."""

    words: list[str]
    workers: int | None = None
    engine: str = "threads"
    changes: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that asks for this."""
        words = ["ebm", "suite", *self.words]
        words += ["--workers", str(self.workers)] if self.workers else []
        words += ["--engine", self.engine] if self.engine != "threads" else []
        return shlex.join([*words, *(w for change in self.changes for w in ("--set", change))])


class Fate(NamedTuple):
    """What became of an experiment.

    Attributes:
        state: ran; up to date; failed; not reached (what it shares with others failed); left out.
        why: where it did not go well.
        stages: how many of its own stages ran, of how many.
        seconds: that these took.
    """

    name: str
    state: str
    why: str = ""
    stages: str = ""
    seconds: float = 0.0


def run_suite(
    paths: Paths,
    asked: Asked,
    show: Callable[[Any], None],
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> bool:
    """Run what the words mean; one that fails stops none of the others. Tell whether all went well.

    Args:
        show: prints a table.
        say: prints a line.
        complain: prints a line on stderr.

    Raises:
        ValueError: a word, a setting or the engine is wrong; nothing has run.
        Busy: another process is at work in the project.
    """
    engines.check(asked.engine)
    choice = choose(paths, settings.read(paths.params), asked.words, lambda: gpu_for(asked.engine))
    for name, why in choice.left_out.items():
        complain(f"{name} is left out: {why}")
    values = overrides.parse(asked.changes, choice.names, every=True)
    manner = Manner(f"suite {' '.join(asked.words)}", True, asked.workers, asked.engine)
    done = follow(paths, Request(choice.names, typed=asked.command), values, manner)
    found = fates(done, choice)
    show(table(found, done.outcome))
    for fate in found:
        if fate.state in BAD:
            complain(f"{fate.name} {fate.state}: {fate.why}")
    say(f"Look first at {(paths.root / 'results' / 'index.html').resolve()}")
    return not any(fate.state in BAD for fate in found)


def gpu_for(engine: str) -> bool:
    """Tell whether there may be a GPU where stages run; those of a cluster are looked at later."""
    return engines.elsewhere(engine) or bool(gpus())


def fates(done: Finished, choice: Choice) -> list[Fate]:
    """Return what became of each experiment."""
    found = [fate_of(done.outcome.of(name), name, done.faults) for name in choice.names]
    return found + [Fate(name, "left out", why) for name, why in choice.left_out.items()]


def fate_of(outcome: Outcome, name: str, faults: Mapping[str, str]) -> Fate:
    """Return what became of one experiment.

    Args:
        outcome: of the stages that it needs.
        faults: why a report could not be written, by experiment.
    """
    own = [row for row in outcome.rows if not shared(row.address)]
    ran = [row for row in own if row.state in DID]
    fate = Fate(name, "", "", f"{len(ran)} of {len(own)}", sum(row.seconds for row in own))
    failed = [row for row in outcome.rows if row.state == "Failed"]
    why = "; ".join(f"{row.address}: {row.reason}" for row in failed)
    if any(row in own for row in failed):
        return fate._replace(state="failed", why=why)
    if failed or not outcome.ok:
        return fate._replace(state="not reached", why=why)
    if name in faults:
        return fate._replace(state="failed", why=f"its report: {faults[name]}")
    return fate._replace(state="ran" if ran else "up to date")


def shared(address: str) -> bool:
    """Tell whether a stage is of no single experiment: data, and features of data."""
    return address.split("@", maxsplit=1)[0] in DATA


def table(found: Sequence[Fate], outcome: Outcome) -> Table:
    """Return what became of the experiments, those that went wrong last, where they are seen."""
    counted = {
        state: sum(f.state == state for f in found) for state in dict.fromkeys(states(found))
    }
    title = ", ".join(f"{count} {state}" for state, count in counted.items())
    shown = Table("experiment", "", "stages", "time", "why", title=title)
    for fate in sorted(found, key=lambda fate: fate.state in BAD):
        took = clock(fate.seconds) if fate.seconds else ""
        shown.add_row(fate.name, fate.state, fate.stages, took, fate.why)
    shown.caption = f"{clock(outcome.seconds)} in all"
    return shown


def states(found: Sequence[Fate]) -> list[str]:
    """Return the states in the order in which they are counted."""
    return [fate.state for fate in found]
