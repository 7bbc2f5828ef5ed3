"""evaluate, of molecules: validity, uniqueness, novelty, FCD, properties, and what z is for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebm.datasets.smiles import texts
from ebm.metrics.chemnet import activations, fcd
from ebm.metrics.molecules import Counts, canonical, counts
from ebm.metrics.properties import PROPERTIES, properties, wasserstein
from ebm.samplers.noise import seed_range
from ebm.stored import load
from tasks.artefacts import load_arrays, new_folder, read_json
from tasks.molecule_pictures import draw_properties
from tasks.molecules_settings import EvaluateMoleculesInputs, MeasuresSettings
from tasks.monitor import Monitor
from tasks.paths import Paths
from tasks.scores import beside, naming, row, write_scores

REVISION = 2

COOLER = "cooler_"  # of samples.npz: what is decoded at a temperature below 1
ABLATIONS = {"without_f": "f = 0: z ~ N(0, I)", "without_z": "z = 0"}
TRAIN = "training molecules"

SHARES = {
    "valid": "Share of the strings that RDKit reads as a molecule; nothing is corrected.",
    "unique_of_valid": "Different molecules over valid strings.",
    "unique_of_all": "Different molecules over all strings; it cannot exceed validity.",
    "novel_of_unique": "Of the different molecules, the share that is in no training molecule's "
    "canonical SMILES.",
    "novel_of_all": "Different molecules that are novel, over all strings.",
}

Rows = list[dict[str, Any]]
Smiles = list[str]


class Sets(NamedTuple):
    """Canonical SMILES of what is compared; generated ones are None where they are not valid.

    Attributes:
        draws: of each draw.
        others: one draw of each ablation and of each cooler decoding, by what it is called.
        train: of all training molecules.
        held: of the part held against.
    """

    draws: list[list[str | None]]
    others: dict[str, list[str | None]]
    train: Smiles
    held: Smiles

    def valid(self, limit: int) -> dict[str, list[Smiles]]:
        """Return the first valid molecules of each set, by what it is called, in draws.

        Those of the training part are taken from all over it: a file may be in some order.
        """
        found = {"": self.draws, **{of: [draw] for of, draw in self.others.items()}}
        found[TRAIN] = [[*self.train[:: max(1, len(self.train) // limit)]]]
        return {of: [[s for s in x if s][:limit] for x in sets] for of, sets in found.items()}


def run(
    name: str, part: None, inputs: EvaluateMoleculesInputs, paths: Paths, monitor: Monitor
) -> None:
    """Write results/NAME/metrics.json, and properties.png in results/NAME/evaluate."""
    data, held, asked = paths.prepared(inputs.dataset), inputs.evaluate.against, inputs.evaluate
    notes = read_json(data / "manifest.json")["notes"]
    drawn = load_arrays(paths.samples(name) / "samples.npz")
    real = load_arrays(data / f"{held}.npz")["x"]
    sets = read(drawn, load_arrays(data / "train.npz")["x"], real, notes, monitor)
    found = [of_counts(sets), of_chemnet(sets, asked.molecules, monitor)]
    found.append(of_properties(sets, asked.molecules, held, paths.results(name) / "evaluate"))
    learner = load(paths.model(name, inputs.final)).learner
    found.append(of_latent(learner, torch.from_numpy(real[: asked.molecules.inferred]), inputs))
    monitor.note(pictures=[str(paths.results(name) / "evaluate" / "properties.png")])
    told_of = naming(held)
    write_scores(
        paths.results(name) / "metrics.json",
        name,
        told_of(protocol(sets, notes["symbols"])),
        [told_of(each) for metrics, _ in found for each in metrics],
        [told_of(each) for _, compared in found for each in compared],
    )


def read(
    drawn: dict[str, np.ndarray],
    train: np.ndarray,
    held: np.ndarray,
    notes: dict[str, Any],
    monitor: Monitor,
) -> Sets:
    """Return the canonical SMILES of all sets, from their tokens."""
    beside = {of: drawn[key] for key, of in ABLATIONS.items()}
    beside |= {called(key): x for key, x in drawn.items() if key.startswith(COOLER)}
    given = [*drawn["molecules"], *beside.values(), train, held]
    total, done, found = sum(map(len, given)), 0, []
    for x in given:

        def told(count: int, of: int, done: int = done) -> None:
            monitor.progress(done + count, total, "canonical SMILES")

        found.append(canonical(texts(x, **notes), told))
        done += len(x)
    real: list[Smiles] = [[each for each in x if each] for x in found[-2:]]
    draws, others = found[: -2 - len(beside)], found[-2 - len(beside) : -2]
    for number, draw in enumerate(draws):
        if not any(draw):
            raise ValueError(
                f"draw {number} has no valid molecule among {len(draw)} strings; there is nothing "
                "to measure before the model has learned longer"
            )
    return Sets(draws, dict(zip(beside, others, strict=True)), *real)


def called(key: str) -> str:
    """Return what a cooler decoding is called, by its key.

    >>> called("cooler_0.8")
    'decoded at temperature 0.8'
    """
    return f"decoded at temperature {key.removeprefix(COOLER)}"


def of_counts(sets: Sets) -> tuple[Rows, Rows]:
    """Return the rows of validity, uniqueness and novelty, by both denominators."""
    known = set(sets.train)
    shares = [counts(each, known).shares() for each in sets.draws]
    others = {of: counts(draw, known).shares() for of, draw in sets.others.items()}
    metrics = [
        figure(name, [each[name] for each in shares], "higher", len(sets.draws[0]), about)
        for name, about in SHARES.items()
    ]
    pooled: Counts = counts([each for draw in sets.draws for each in draw], known)
    about = (
        "Different molecules over valid strings, all draws together: it falls with their number."
    )
    metrics.append(
        figure(
            "unique_of_valid_pooled",
            [pooled.shares()["unique_of_valid"]],
            "higher",
            pooled.all,
            about,
        )
    )
    compared = [beside(name, of, other[name]) for of, other in others.items() for name in SHARES]
    return metrics, compared


def of_chemnet(sets: Sets, asked: MeasuresSettings, monitor: Monitor) -> tuple[Rows, Rows]:
    """Return the rows of FCD; of a set with too few valid molecules there is none."""
    limit = asked.chemnet
    chosen = {of: [x for x in found if len(x) == limit] for of, found in sets.valid(limit).items()}
    fewest = min(len(sets.held), *(sum(each is not None for each in draw) for draw in sets.draws))
    if fewest < limit:
        monitor.say(
            f"evaluate.molecules.chemnet is {limit}, and a draw has {fewest} valid molecules or "
            "the held-out part has as few: FCD is not measured; ask for fewer"
        )
        return [], []
    total, done = limit * (1 + sum(map(len, chosen.values()))), 0

    def seen(smiles: Smiles) -> np.ndarray:
        nonlocal done
        start = done
        done += len(smiles)
        return activations(smiles, lambda n, _: monitor.progress(start + n, total, "ChemNet"))

    real = seen(sets.held[:limit])
    values = {of: [fcd(seen(x), real) for x in found] for of, found in chosen.items()}
    name = f"fcd_{limit}"
    floor = values[TRAIN][0] if values[TRAIN] else None
    about = (
        f"Frechet ChemNet distance of {limit} valid molecules to as many test molecules; floor: "
        f"of {limit} training molecules."
    )
    metric = figure(name, values[""], "lower", limit, about, floor=floor, ceiling=None)
    others = {of: value or None for of, value in values.items() if of}
    return [metric], [beside(name, of, value) for of, value in others.items()]


def of_properties(
    sets: Sets, asked: MeasuresSettings, held: str, folder: Path
) -> tuple[Rows, Rows]:
    """Return the rows of properties' distances, and picture the properties in a folder."""
    limit = asked.properties
    real = properties(sets.held[:limit])
    found = {of: [properties(x) for x in sets.valid(limit)[of]] for of in ("", TRAIN)}
    with new_folder(folder) as place:
        draw_properties(real, found[""][0], held, place / "properties.png")
    metrics, compared = [], []
    for name, label in PROPERTIES.items():
        values = {
            of: [wasserstein(x[name], real[name]) for x in each if len(x[name])]
            for of, each in found.items()
        }
        about = (
            f"Wasserstein distance of the distribution of {label} in valid molecules to that in "
            "test molecules; floor: of training molecules."
        )
        floor = values[TRAIN][0]
        metric = f"distance_{name}"
        metrics.append(figure(metric, values[""], "lower", limit, about, floor=floor, ceiling=None))
        compared.append(beside(metric, TRAIN, floor))
    return metrics, compared


def of_latent(learner: Any, x: Tensor, inputs: EvaluateMoleculesInputs) -> tuple[Rows, Rows]:
    """Return the rows of -log p(x | z) of held-out molecules: what z, inferred from x, says of x.

    A decoder that ignores z gives the same for the z of another molecule.
    """
    seeds, steps = seed_range(inputs.seed, len(x)), learner.settings.posterior.chain.sample_steps
    z = learner.posterior(x, seeds=seeds)
    others = {
        "z of another molecule": z.roll(1, 0),
        "z of the prior's chain": learner.draw_prior(seeds)[-1],
        "z = 0": torch.zeros_like(z),
    }
    name = "nats_inferred"
    about = (
        "Mean -log p(x | z) of test molecules in nats, at z inferred from each by the posterior's "
        f"chain of {steps} steps. It is no likelihood of the model."
    )
    metric = figure(name, [nats(learner, x, z)], "lower", len(x), about, floor=0.0, ceiling=None)
    return [metric], [beside(name, of, nats(learner, x, each)) for of, each in others.items()]


@torch.no_grad()
def nats(learner: Any, x: Tensor, z: Tensor) -> float:
    """Return the mean of -log p(x | z)."""
    return -float(learner.decoder.log_likelihood(x, z).mean())


def figure(
    name: str,
    values: Sequence[float],
    better: str,
    samples: int,
    about: str,
    *,
    floor: float | None = 0.0,
    ceiling: float | None = 1.0,
) -> dict[str, Any]:
    """Return the row of a metric; a share lies in [0, 1]."""
    bounds = {"floor": floor, "ceiling": ceiling}
    return row(name, values, **bounds, better=better, samples=samples, about=about)


def protocol(sets: Sets, symbols: str) -> str:
    """Say how it was measured."""
    return (
        f"Means over {len(sets.draws)} draws of {len(sets.draws[0])} strings of {symbols}, drawn "
        "at temperature 1; nothing is corrected, rejected or drawn again, and what has not ended "
        "is not valid. Molecules are compared by canonical SMILES with stereochemistry, with "
        f"{len(set(sets.train))} training molecules."
    )
