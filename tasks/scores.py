"""The files of figures, metrics.json, classify.json and apply.json: their rows, rounded alike."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.artefacts import write_json

DIGITS = 6  # significant digits kept: more would be noise of rounding


def row(
    metric: str,
    values: Sequence[float] | NDArray[np.float64],
    *,
    floor: float | None,
    ceiling: float | None,
    better: str,
    samples: int,
    about: str,
) -> dict[str, Any]:
    """Return a metric's row: mean and standard deviation, with 1 / (n - 1), of its values.

    Args:
        metric: its name, the same everywhere.
        values: one a seed; of a single one there is no spread.
        floor: the lowest figure to expect; None where there is none.
        ceiling: the highest.
        better: `lower` or `higher`.
        samples: items behind each value.
        about: one sentence.
    """
    return {
        "metric": metric,
        "value": rounded(np.mean(values)),
        "spread": rounded(np.std(values, ddof=1)) if len(values) > 1 else None,
        "floor": rounded(floor),
        "ceiling": rounded(ceiling),
        "better": better,
        "samples": samples,
        "seeds": len(values),
        "about": about,
    }


def beside(
    metric: str, of: str, values: float | Sequence[float] | NDArray[np.float64] | None
) -> dict[str, Any]:
    """Return a row of what a metric is compared with: the mean of the values, None of none."""
    value = None if values is None else np.mean(values)
    return {"metric": metric, "of": of, "value": rounded(value)}


def beside_spread(metric: str, of: str, values: NDArray[np.float64]) -> dict[str, Any]:
    """Return such a row with the standard deviation, with 1 / (n - 1), of the values: one a seed.

    Args:
        metric: what is compared.
        of: what it is compared with.
        values: two or more.
    """
    return {**beside(metric, of, values), "spread": rounded(np.std(values, ddof=1))}


def naming(part: str) -> Callable[[Any], Any]:
    """Return what makes texts and rows speak of the part of the data that was held against.

    The figures of one part are never named as those of the other.
    """

    def rename(told: Any) -> Any:
        if isinstance(told, str):
            return told.replace("test", part)
        if part == "test":
            return told
        metric = {"metric": f"{told['metric']}_{part}"}
        return {key: rename(v) if isinstance(v, str) else v for key, v in told.items()} | metric

    return rename


def write_scores(
    path: Path,
    experiment: str,
    protocol: str,
    metrics: list[dict[str, Any]],
    compared: list[dict[str, Any]],
    regime: Mapping[str, str] | None = None,
) -> None:
    """Write a file of figures, whole or not at all.

    Args:
        regime: `name` and `evidence` of what the figures mean together, where they have a word.

    Raises:
        ValueError: a figure is not finite.
    """
    write_json(
        path,
        {
            "experiment": experiment,
            "protocol": protocol,
            **({"regime": dict(regime)} if regime else {}),
            "metrics": metrics,
            "compared": compared,
        },
    )


def rounded(value: float | np.floating[Any] | None) -> float | None:
    """Return a value to six significant digits."""
    return None if value is None else float(f"{float(value):.{DIGITS}g}")
