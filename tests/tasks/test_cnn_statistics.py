"""The response statistics of FRAME over given filters, learned and applied on tiny images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.stored import save
from flows.expected import applied
from tasks import apply
from tasks.applications import statistics
from tasks.artefacts import save_arrays
from tasks.inputs import ApplyInputs
from tasks.monitor import Monitor
from tasks.paths import Paths

NETWORK: dict[str, Any] = {
    **{"kind": "frame_cnn", "size": 8, "channels": 1, "layers": ["conv1_1"]},
    **{"unfitted": ["conv1_2"], "activation": "softplus", "pooling": "average"},
    **{"padding": "constant", "weights": None, "sha256": None, "head_scale": 0.0},
}
MODEL = {
    "reference": 0.5,
    "start": {
        **{"start": "persistent", "noise": "gaussian", "scale": 0.5, "chains": 16},
        "rejuvenation": 0.0,
    },
    "sample_from": "chains",
    "chain": {
        **{"steps": 5, "sample_steps": 5, "step_size": 0.03, "temperature": 1.0},
        "coloured": True,
    },
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.02, "momentum": 0.5},
}


def bright(count: int) -> np.ndarray:
    """Noise about a light grey, darker to the right: (N, 1, 8, 8)."""
    noise = np.random.default_rng(0).normal(0, 0.25, (count, 1, 8, 8))
    return (0.4 + np.linspace(0.2, -0.2, 8) + noise).astype(np.float32)


WAVELETS = {
    **{"kind": "sparse_frame", "size": 8, "scales": [0.2], "orientations": 2},
    **{"selected": 40, "potential": "two_sided"},
}
TRAJECTORIES = {
    **{"steps": 2, "sample_steps": 5, "step_size": 0.02, "temperature": 1.0},
    **{"leapfrogs": 5, "coloured": True},
}
KINDS: dict[str, dict[str, Any]] = {
    "textures": {**MODEL, "network": {**NETWORK, "homogeneous": True}},
    "objects": {**MODEL, "network": {**NETWORK, "homogeneous": False}},
    "wavelets": {
        **MODEL,
        **{"network": WAVELETS, "chain": TRAJECTORIES, "reference": "coloured"},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_learned_model_is_nearer_than_noise_by_filters_fitted_and_not(
    tmp_path: Path, kind: str
) -> None:
    paths, x = Paths(tmp_path), bright(60)
    paths.prepared("bright").mkdir(parents=True)
    save_arrays(paths.prepared("bright") / "train.npz", x=x[:40])
    save_arrays(paths.prepared("bright") / "test.npz", x=x[40:])
    torch.manual_seed(0)
    learner = MaximumLikelihood(MaximumLikelihood.Settings.model_validate(KINDS[kind]))
    data = torch.from_numpy(x[:40])
    learner.prepare(data)
    for step in range(40):
        learner.learn(data[torch.arange(16) + step % 24])
    model = paths.model("trial", "learn")
    model.mkdir(parents=True)
    save(model, "maximum_likelihood", learner, learner.networks)
    asked = {"dataset": "bright", "final": "learn", "threads": 1, "seed": 0}
    asked["apply"] = {"statistics": {"samples": 16, "acceptance": kind == "wavelets"}}
    apply.run("trial", None, ApplyInputs.model_validate(asked), paths, Monitor(paths, "apply", "t"))
    written = json.loads((paths.results("trial") / "apply.json").read_text())
    rows = {row["metric"]: row for row in written["metrics"]}
    assert list(rows) == applied(asked["apply"])
    if kind == "wavelets":
        assert 0.6 < rows["statistics_acceptance"]["value"] <= 1
    for of in ("fitted", "unfitted"):
        # of filters without a mean, noise itself is but twice as far from such data
        share = 0.9 if (kind, of) == ("wavelets", "unfitted") else 0.7
        found = rows[f"statistics_ratio_{of}"]
        assert found["value"] < share * found["ceiling"], of
    there = {path.stem for path in (paths.results("trial") / "apply").iterdir()}
    assert there == {"statistics", "statistics_learned"}


@pytest.mark.parametrize("twins", [False, True])
def test_samples_of_the_data_s_law_are_at_a_ratio_of_1_however_they_are_ordered(
    twins: bool,
) -> None:
    """400 images of 40 kinds that stand in order, as a folder of persons has them; three times."""
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        kinds = torch.randn(40, 1, 8, 8)

        def images(rows: torch.Tensor, kinds: torch.Tensor = kinds) -> torch.Tensor:
            x = kinds[rows] + 0.3 * torch.randn(len(rows), *kinds.shape[1:])
            flipped = torch.rand(len(x)) < 0.5
            return torch.where(flipped[:, None, None, None], x.flip(-1), x) if twins else x

        train = images(torch.arange(40).repeat_interleave(10))
        train = torch.cat([train, train.flip(-1)]) if twins else train
        samples, test = (images(torch.randint(40, (count,))) for count in (200, 100))
        made, beside = statistics.objects("fitted", lambda x: x, samples, train, test)
        found.append((made["value"], beside[0]["value"], made["ceiling"]))
    of_samples, of_test, of_noise = np.mean(found, 0)
    assert of_samples == pytest.approx(1, abs=0.1) and of_test == pytest.approx(1, abs=0.1)
    assert of_noise > 1.3  # it has no kinds


def test_sets_of_one_choice_share_no_picture_and_no_twin() -> None:
    x = torch.arange(10.0).reshape(10, 1, 1, 1)
    sets = statistics.drawn(x, lambda x: x.sign(), torch.ones(1), 2, 2, twins=True)
    assert sets.shape == (statistics.CHOICES, 2, 1, 1, 1)
    seen: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "maps", lambda x, respond, sd, w: seen.append(w) or w)
        statistics.drawn(x, lambda x: x, torch.ones(1), 2, 2, twins=True)
    for one, other in seen[0].split(2):
        rows = [*one.nonzero().flatten().tolist(), *other.nonzero().flatten().tolist()]
        assert len({row % 5 for row in rows}) == 4
        assert float(one.sum()) == float(other.sum()) == 1
    assert not torch.equal(seen[0][:2], seen[0][2:4])
