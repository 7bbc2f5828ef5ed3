"""The report's tables: metrics beside what they are held against, and the summary in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

LOGARITHMIC = 30.0  # a bar whose ends differ by this factor and more has a logarithmic scale
ASIDE = ("reference", "beyond")  # no rivals, by `relation`
TITLES = {  # by how a metric's name starts
    "fid": "Standard FID",
    "energy_distance": "Energy distance",
    "frechet": "Frechet distance",
    "kl_data_model": "KL(data, model): what the model misses",
    "kl_model_data": "KL(model, data): what the model makes up",
    "log_z_error": "Error of the learned log Z",
    "rim_mass": "Mass at the rim of the box",
    "kid": "Kernel distance (KID)",
    "inception_score": "Inception score",
    "nearest_training": "Distance to the nearest training image",
    "precision": "Precision",
    "recall": "Recall",
    "one_nn_accuracy": "1-nearest-neighbour accuracy",
    "valid": "Valid",
    "unique_of_valid_pooled": "Unique, of the valid of all draws",
    "unique_of_valid": "Unique, of the valid",
    "unique_of_all": "Unique, of all",
    "novel_of_unique": "Novel, of the unique",
    "novel_of_all": "Novel, of all",
    "fcd": "Frechet ChemNet distance",
    "distance_qed": "Drug-likeness (QED), distance of distributions",
    "distance_log_p": "log P, distance of distributions",
    "distance_weight": "Molecular weight, distance of distributions",
    "nats_inferred": "-log p(x | z) at inferred z, nats",
    "anomaly_ap_a": "Average precision, split A",
    "anomaly_ap_b": "Average precision, split B",
    "anomaly_trapezoid_a": "Precision and recall by trapezoids, split A",
    "anomaly_trapezoid_b": "Precision and recall by trapezoids, split B",
    "anomaly_lift_a": "Lift over prevalence, split A",
    "anomaly_lift_b": "Lift over prevalence, split B",
    "anomaly_auroc_a": "Area under the ROC, split A",
    "anomaly_auroc_b": "Area under the ROC, split B",
}


def table(content: Mapping[str, Any], goals: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the metric rows of a file of figures, each with its goal, bar and rivals."""
    rows = []
    for metric in content.get("metrics", []):
        rivals = [r for r in content.get("compared", []) if r["metric"] == metric["metric"]]
        shown = [
            {**r, "bar": position(metric, r["value"]), "word": relation(metric, r["value"])}
            for r in rivals
        ]
        goal = goals.get(metric["metric"]) or {}
        rows.append(
            {
                **metric,
                "seed_figure": goal.get("seed_figure"),
                "goal": goal.get("goal"),
                "bar": position(metric, metric["value"]),
                "logarithmic": logarithmic(metric),
                "compared": shown,
            }
        )
    return rows


def logarithmic(metric: Mapping[str, Any]) -> bool:
    """Tell whether a metric's bar has a logarithmic scale."""
    floor, ceiling = metric.get("floor"), metric.get("ceiling")
    return bool(floor and ceiling and floor > 0 and ceiling / floor >= LOGARITHMIC)


def position(metric: Mapping[str, Any], value: float | None) -> float | None:
    """Return where a value lies from floor, 0, to ceiling, 100; None where one is not known.

    >>> position({"floor": 2.0, "ceiling": 4.0}, 3.0)
    50.0
    """
    floor, ceiling = metric.get("floor"), metric.get("ceiling")
    if value is None or floor is None or ceiling is None or floor == ceiling:
        return None
    if logarithmic(metric):
        if value <= 0:
            return 0.0
        floor, ceiling, value = math.log(floor), math.log(ceiling), math.log(value)
    return round(100 * min(1.0, max(0.0, (value - floor) / (ceiling - floor))), 1)


def relation(metric: Mapping[str, Any], value: float) -> str:
    """Say how the samples stand to a rival.

    Returns:
        `better`, `worse`; `no clear difference` within the samples' spread; `reference` where the
        rival is the good end of the scale, `beyond` where it lies beyond it, which is no better.
    """
    lower = metric["better"] == "lower"
    best = metric.get("floor") if lower else metric.get("ceiling")
    if best is not None and (value <= best if lower else value >= best):
        return "reference" if value == best else "beyond"
    ahead = (value - metric["value"]) * (1 if lower else -1)
    if abs(ahead) <= (metric.get("spread") or 0.0):
        return "no clear difference"
    return "better" if ahead > 0 else "worse"


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Say by the first metric that has rivals whether the samples beat them all.

    Returns:
        `beaten`: True if all are beaten, `head` and `text`; None where nothing is compared.
    """
    for row in rows:
        rivals = [r for r in row["compared"] if r["word"] not in ASIDE]
        if rivals:
            won = [r for r in rivals if r["word"] == "better"]
            lost = [r for r in rivals if r["word"] != "better"]
            words = "do not beat everything" if won else "beat nothing"
            words = words if lost else "beat everything"
            head = f"The samples {words} they are compared with."
            return {"beaten": not lost, "head": head, "text": sentence(row, won, lost)}
    return None


def title(metric: str) -> str:
    """Name a metric in words.

    >>> title("frechet_digits_cnn32"), title("error_20_labels")
    ('Frechet distance', 'Error 20 labels')
    """
    found = (text for start, text in TITLES.items() if f"{metric}_".startswith(f"{start}_"))
    return next(found, metric.replace("_", " ").capitalize())


def sentence(
    row: Mapping[str, Any], won: Sequence[Mapping[str, Any]], lost: Sequence[Mapping[str, Any]]
) -> str:
    """Say the comparison in plain words."""
    about = 0 if row.get("spread") is None else row["spread"]
    value = f"{number(row['value'])} ± {spread(about)}" if about else number(row["value"])
    parts = [f"{title(row['metric'])} ({row['metric']}): {value}, {row['better']} is better."]
    parts += [f"Not beaten: {names(lost)}."] if lost else []
    parts += [f"Beaten: {names(won)}."] if won else []
    return " ".join(parts)


def names(rivals: Sequence[Mapping[str, Any]]) -> str:
    """List rivals with their values."""
    return "; ".join(f"{r['of']} ({number(r['value'])})" for r in rivals)


def pivot(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a table with a line a metric and a column a rival, the best of a line marked.

    A rival may be in some lines only. What lies beyond the good end of the scale is not best.
    """
    rivals = list(dict.fromkeys(r["of"] for row in rows for r in row["compared"]))
    lines = []
    for row in rows:
        values = {r["of"]: r["value"] for r in row["compared"]}
        known = [row["value"], *(r["value"] for r in row["compared"] if r["word"] not in ASIDE)]
        best = min(known) if row["better"] == "lower" else max(known)
        best = best if len(known) > 1 else None
        found = [values.get(name) for name in rivals]
        cells = [{"value": v, "best": v is not None and v == best} for v in found]
        lines.append({**row, "cells": cells, "best": row["value"] == best})
    held = [key for key in ("seed_figure", "goal") if any(row[key] is not None for row in rows)]
    return {"columns": rivals, "lines": lines, "held": held}


def spread(value: float) -> str:
    """Say a spread: two significant digits.

    >>> spread(9.209), spread(0.0023)
    ('9.2', '0.0023')
    """
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def number(value: Any) -> str:
    """Say a value: four significant digits, a dash for none.

    >>> number(0.123456), number(1234.5), number(None)
    ('0.1235', '1234', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
