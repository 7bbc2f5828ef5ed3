"""Every learner on every density in the plane, in one table: python -m benchmarks.contrast_2d.

Nothing is computed here: the figures are those of results/contrast-2d-DENSITY-LEARNER/metrics.json,
so run these experiments first. It writes results/benchmarks/contrast_2d.md and contrast_2d.png.
"""

from collections.abc import Callable
from pathlib import Path

from tasks.artefacts import read_json, write_text
from tasks.params_file import read_yaml
from tasks.paths import Paths

LEARNERS = {
    "nce": "noise contrastive estimation",
    "persistent": "persistent chains",
    "cd": "from the data (contrastive divergence)",
    "shortrun": "from noise (short-run)",
}
KLS = {"kl_data_model": "KL(data, model)", "kl_model_data": "KL(model, data)"}
LOOKS = (("#0072b2", "o"), ("#009e73", "s"), ("#e69f00", "D"), ("#d55e00", "^"))

Metrics = dict[str, dict[str, float]]  # a metric's row by its name
Found = dict[tuple[str, str], Metrics]  # by (density, learner)


def densities(paths: Paths) -> list[str]:
    """Return the densities that params.yaml has experiments of, in its order."""
    names = (name.split("-") for name in read_yaml(paths.params)["experiments"])
    return list(dict.fromkeys(name[2] for name in names if name[:2] == ["contrast", "2d"]))


def gather(paths: Paths) -> tuple[Found, list[str]]:
    """Return the metrics that there are, and the experiments that have none."""
    found: Found = {}
    missing = []
    for density in densities(paths):
        for learner in LEARNERS:
            name = f"contrast-2d-{density}-{learner}"
            file = paths.results(name) / "metrics.json"
            if file.exists():
                rows = read_json(file)["metrics"]
                found[density, learner] = {row["metric"]: row for row in rows}
            else:
                missing.append(name)
    return found, missing


def figure(value: float | None) -> str:
    """Say a figure in nats.

    >>> figure(0.0345), figure(None)
    ('0.035', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def table(found: Found, of: list[str], cells: dict[str, Callable[[str], str]]) -> str:
    """Return a table with a column a density.

    Args:
        found: the metrics.
        of: the densities.
        cells: by the line's title, what says the cell of a density.
    """
    lines = [f"| | {' | '.join(of)} |", "|---" * (len(of) + 1) + "|"]
    lines += [f"| {title} | {' | '.join(map(say, of))} |" for title, say in cells.items()]
    return "\n".join(lines) + "\n"


def page(found: Found, of: list[str]) -> str:
    """Return the tables: both divergences, the errors of log Z, the distance of samples."""

    def get(density: str, learner: str, metric: str, key: str = "value") -> float | None:
        names = found.get((density, learner), {})
        match = next((row for name, row in names.items() if name.startswith(metric)), {})
        return match.get(key)

    def both(learner: str, key: str = "value") -> Callable[[str], str]:
        return lambda d: " / ".join(figure(get(d, learner, metric, key)) for metric in KLS)

    def one(learner: str, metric: str, key: str = "value") -> Callable[[str], str]:
        return lambda d: figure(get(d, learner, metric, key))

    kls = {title: both(learner) for learner, title in LEARNERS.items()}
    kls["a Gaussian with the data's moments"] = both("nce", "ceiling")
    near = {title: one(learner, "energy_distance") for learner, title in LEARNERS.items()}
    near["a Gaussian with the data's moments"] = one("nce", "energy_distance", "ceiling")
    return "\n".join(
        [
            "# Learners on densities that are known\n",
            "Written by `python -m benchmarks.contrast_2d` from the figures of the experiments "
            "`contrast-2d-DENSITY-LEARNER`.\n",
            "KL(data, model) / KL(model, data) in nats, Z by quadrature; 0 is perfect.\n",
            table(found, of, kls),
            "|c - log Z| in nats, of the learned c.\n",
            table(found, of, {LEARNERS["nce"]: one("nce", "log_z_error")}),
            "Squared energy distance of samples to test points, which swings about 0 where both "
            "are alike.\n",
            table(found, of, near),
        ]
    )


def draw(found: Found, of: list[str], path: Path) -> None:
    """Picture both divergences by density, a mark a learner."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        sheet = Figure(figsize=(9, 4), layout="constrained")
        places = sheet.subplots(1, 2, sharey=True)
        for axes, (metric, title) in zip(places, KLS.items(), strict=True):
            for place, (learner, name) in enumerate(LEARNERS.items()):
                colour, mark = LOOKS[place]
                there = [i for i, d in enumerate(of) if (d, learner) in found]
                values = [found[of[i], learner][metric]["value"] for i in there]
                at = [i + 0.12 * (place - 1.5) for i in there]
                axes.plot(at, values, mark, color=colour, label=name, markersize=7)
            axes.axhline(0.05, color="#555555", linewidth=0.8, linestyle=":")
            axes.set(yscale="log", title=f"{title}, nats", xlim=(-0.5, len(of) - 0.5))
            axes.set_xticks(range(len(of)), of)
            axes.grid(axis="y", alpha=0.3)
        sheet.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        sheet.savefig(path, dpi=120, metadata={"Software": None})


def main(paths: Paths) -> None:
    """Write the tables and the picture."""
    (found, missing), of = gather(paths), densities(paths)
    folder = paths.results("benchmarks")
    write_text(folder / "contrast_2d.md", page(found, of))
    draw(found, of, folder / "contrast_2d.png")
    for name in missing:
        print(f"{name} has no figures; run ebm run {name}")
    print(f"{len(found)} experiments are in {folder / 'contrast_2d.md'}")


if __name__ == "__main__":
    main(Paths())
