"""What every learner promises to those who use it."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ebm.fit import fit
from ebm.health import CAUSES, REMEDIES, advice
from ebm.learn import LEARNERS, Trained, inpaints, learner_class, refusal
from ebm.learner import FitSettings, Learner
from ebm.metrics.fine_tune import untrained
from ebm.run import copy
from ebm.settings import Settings
from ebm.stored import load, save


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_has_what_fitting_and_using_it_need(name: str) -> None:
    kind = learner_class(name)
    assert issubclass(kind.Settings, Settings)
    for promise in (Learner, Trained):
        for member, value in vars(promise).items():
            if member.startswith("_"):
                continue
            assert hasattr(kind, member), f"{name} has no {member}"
            if inspect.isfunction(value):
                asked = set(inspect.signature(value).parameters)
                assert asked <= set(inspect.signature(getattr(kind, member)).parameters), member


MLP = {"kind": "mlp", "dim": 2, "widths": [4, 3], "scale": 1.0}
FRESH = {"noise": "gaussian", "scale": 1.0}
CHAIN = {"steps": 2, "sample_steps": 2, "step_size": 0.1, "temperature": 1.0}
ADAM = {"kind": "adam", "rate": 0.01, "momentum": 0.5}
SMALL: dict[str, dict[str, Any]] = {
    "coarse_to_fine": {
        **{"channels": 1, "widths": [3, 2], "fade": 0, "start": "noise", "chain": CHAIN},
        **{"data_noise": 0.1, "decay": 0.01, "optimiser": ADAM},
    },
    "multigrid": {
        "channels": 1,
        "grids": [
            {
                **{"size": 4, "width": 2, "steps": 1, "step_size": 0.1, "noise": 0.1},
                **{"start_noise": 0.1, "bounds": 1.1, "data_noise": 0.0, "rate": 0.001},
                **{"momentum": 0.5, "decay": 0.0},
            }
        ],
    },
    "recovery": {
        "network": {
            **{"kind": "time_resnet", "size": 4, "channels": 1, "width": 4, "multiples": [1]},
            **{"blocks": 1, "stride": 1},
        },
        "levels": [0, 300, 999],
        "chain": {"steps": 2, "step_scale": 0.01, "temperature": 1.0},
        "optimiser": ADAM,
        "spectral": False,
    },
    "latent_belief": {
        "forecast": {
            **{"seen": 3, "plan": [1, 2], "unit": 1.0, "turned": True, "code": 3, "latent": 2},
            **{"widths": [6], "energy": [5], "social": None},
        },
        **{"sd_plan": 0.5, "sd_way": 0.5, "reference": 1.0, "chain": CHAIN, "chains": 4},
        **{"lead": 0.5, "decay": 0.01, "speeds": 1.2, "mirror": 0.5, "reverse": True},
        **{"optimiser": ADAM, "energy": ADAM},
    },
    "joint_classifier": {
        "network": {**MLP, "classes": 3},
        "reference": 2.0,
        "start": {"start": "persistent", "chains": 9, "rejuvenation": 0.5, **FRESH},
        "sample_from": FRESH,
        "chain": CHAIN,
        "data_noise": 0.1,
        "decay": 0.01,
        "optimiser": ADAM,
        "label_weight": 1.0,
        "twin": True,
    },
    "introspective": {
        "network": MLP,
        "start": FRESH,
        "negatives": 20,
        "refresh": 2,
        "stop": 1.0,
        "chain": CHAIN,
        "data_noise": 0.1,
        "decay": 0.01,
        "optimiser": ADAM,
    },
    "latent_amortised": {
        "latent": 3,
        "prior": {"widths": [4, 3], "chain": CHAIN, "decay": 0.0, "optimiser": ADAM},
        "decoder": {"kind": "point", "dim": 2, "widths": [4], "sd": 0.3},
        "posterior": {
            "start": "encoder",
            "chain": {**CHAIN, "step_size": 0.01},
            "encoder": {"network": {**MLP, "classes": 6}, "optimiser": ADAM},
        },
        "optimiser": ADAM,
        "sampler": {"couplings": 2, "width": 4, "optimiser": ADAM},
    },
    "latent_prior": {
        "latent": 3,
        "prior": {"widths": [4, 3], "chain": CHAIN, "decay": 0.0, "optimiser": ADAM},
        "decoder": {"kind": "point", "dim": 2, "widths": [4], "sd": 0.3},
        "posterior": {"start": "persistent", "chain": {**CHAIN, "step_size": 0.01}},
        "optimiser": ADAM,
        "gradient_clip": 10.0,
    },
    "maximum_likelihood": {
        "network": MLP,
        "reference": 2.0,
        "start": {"start": "persistent", "chains": 9, "rejuvenation": 0.5, **FRESH},
        "sample_from": FRESH,
        "chain": CHAIN,
        "data_noise": 0.1,
        "decay": 0.01,
        "optimiser": ADAM,
    },
    "noise_contrastive": {
        "network": MLP,
        "reference": 2.0,
        "noise": {"kind": "mixture", "scale": 1.0, "half": 3.0},
        "ratio": 2,
        "data_noise": 0.1,
        "optimiser": ADAM,
        "rate_log_z": 0.01,
        "chain": CHAIN,
    },
}
IMAGES = {  # what is learned by those that learn no points
    **{"coarse_to_fine": (1, 8, 8), "multigrid": (1, 4, 4), "recovery": (1, 4, 4)},
    "latent_belief": (5, 2),  # trajectories
}


def labels(learner: Any, count: int) -> list[torch.Tensor]:
    """What `learn` takes besides: labels, or rows of the data, where the learner wants them."""
    if getattr(learner, "indexed", False):
        return [torch.arange(count)]
    return [torch.arange(count) % 3] if getattr(learner, "labelled", False) else []


def fitted(learner: Any, x: torch.Tensor, **options: Any) -> Any:
    given = torch.arange(len(x)) % 3 if getattr(learner, "labelled", False) else None
    return fit(learner, x, FIT, seed=3, labels=given, **options)


def made(name: str) -> Any:
    kind = learner_class(name)
    torch.manual_seed(0)
    learner = kind(kind.Settings.model_validate(SMALL[name]))
    if name == "recovery":  # whose f is 0 at first
        nn.init.normal_(learner.f.head.weight)
    return learner


def item(name: str) -> tuple[int, ...]:
    return IMAGES.get(name, (2,))


def items(name: str, count: int) -> torch.Tensor:
    return torch.rand(count, *item(name), generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_reports_what_the_judge_reads(name: str) -> None:
    learner, x = made(name), items(name, 8)
    learner.prepare(x)
    figures = learner.learn(x, *labels(learner, 8))
    for prefix in {key.rpartition("/")[0] for key in figures}:
        asked = {"f_data", "f_samples", "sd_data", "sd_samples"}
        assert asked <= {key.rpartition("/")[2] for key in figures if key.startswith(prefix)}
    assert all(value.shape == () and torch.isfinite(value) for value in figures.values())


@pytest.mark.parametrize("name", LEARNERS)
def test_learner_goes_on_with_the_same_bits_from_its_saved_state(name: str) -> None:
    one, other, x = made(name), made(name), items(name, 8)
    for learner in (one, other):
        learner.prepare(x)
    one.learn(x, *labels(one, 8))
    other.load_state_dict(copy(one.state_dict()))
    for _ in range(2):
        first, second = (each.learn(x, *labels(each, 8)) for each in (one, other))
        assert all(torch.equal(first[key], second[key]) for key in first)
    weights = one.networks.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in other.networks.state_dict().items())


APPLIED = [("classifier", "joint_classifier"), ("rounds", "introspective")]
FIT = FitSettings.model_validate(
    {
        **{"updates": 12, "batch": 8, "average": 0.9, "final_rate": 0.1, "check_every": 2},
        **{"checkpoint_every": 4, "gap_limit": 50.0, "rollbacks": 0, "slow_down": 0.5},
    }
)


class Cut(Exception):
    """A run that is cut off."""


def cut(learner: Any, at: int) -> Any:
    """The learner, which is cut off in its iteration `at`."""
    learn, calls = learner.learn, iter(range(1, 100))

    def once(*batch: torch.Tensor) -> Any:
        figures = learn(*batch)
        if next(calls) == at:
            raise Cut
        return figures

    learner.learn = once
    return learner


@pytest.mark.parametrize("at", [3, 9, 12])
@pytest.mark.parametrize("name", LEARNERS)
def test_run_cut_off_and_resumed_has_the_bits_of_one_left_alone(
    name: str, at: int, tmp_path: Path
) -> None:
    """Parameters, curves and all that the next iteration depends on, persistent chains too."""
    file, x, learners = tmp_path / "checkpoint.pt", items(name, 30), []
    for _ in range(3):
        torch.manual_seed(0)
        learners.append(made(name))
    alone, broken, resumed = learners
    whole = fitted(alone, x)
    with pytest.raises(Cut):
        fitted(cut(broken, at), x, checkpoint=file)
    assert file.exists() == (at > 4)
    again = fitted(resumed, x, checkpoint=file)
    assert again.curves == whole.curves
    for one, other in [(whole, again), (alone, resumed)]:
        first, second = flat(one), flat(other)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
    kept = name in ("latent_prior", "maximum_likelihood", "joint_classifier")
    assert kept == any(key.startswith("chains") for key in flat(alone))


def flat(holder: Any) -> dict[str, torch.Tensor]:
    """The tensors of a learner's state, or of a finished run's networks, by dotted names."""
    state = holder.state_dict() if hasattr(holder, "state_dict") else holder.networks.state_dict()
    return dict(tensors(state))


def tensors(state: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(state, torch.Tensor):
        yield name, state
    elif isinstance(state, dict | list):
        pairs = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in pairs:
            yield from tensors(value, f"{name}.{key}" if name else str(key))


@pytest.mark.parametrize("name", LEARNERS)
def test_data_that_are_not_finite_are_refused_by_their_item(name: str) -> None:
    x = items(name, 30)
    x[9].view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="not finite, first in item 9; mend or leave out"):
        fitted(made(name), x)


@pytest.mark.parametrize("name", LEARNERS)
def test_advice_names_settings_that_the_learner_has(name: str) -> None:
    given = made(name).settings
    told = {cause: advice(cause, given) for cause in CAUSES}
    assert "a smaller rate" in told["parameter"] and "a smaller step_s" in told["chain"]
    schema = json.dumps(type(given).model_json_schema())
    for remedies in REMEDIES.values():
        for setting, text in remedies.items():
            named = any(text in sentence.partition("; try ")[2] for sentence in told.values())
            assert named == (f'"{setting}"' in schema), setting


@pytest.mark.parametrize("name", LEARNERS)
def test_sample_has_the_shape_of_the_data_and_depends_on_its_own_seed_alone(name: str) -> None:
    learner, x = made(name), items(name, 8)
    learner.prepare(x)
    many = learner.sample([5, 6, 7], keep=1)[learner.size]
    assert many[-1].shape == (3, *item(name)) and len(many) > 1
    alone = learner.sample([6])[learner.size][-1]
    assert torch.allclose(many[-1][1:2], alone, atol=1e-5)
    assert not torch.allclose(many[-1][:1], alone, atol=1e-3)


@pytest.mark.parametrize("name", LEARNERS)
def test_score_has_a_finite_gradient_to_each_item_of_its_own(name: str) -> None:
    learner, x = made(name), items(name, 3).requires_grad_(True)
    learner.prepare(items(name, 8))
    scores = learner.score(x)
    assert scores.shape == (3,)
    (gradient,) = torch.autograd.grad(scores[1], x)
    assert torch.isfinite(gradient).all() and gradient[1].any()
    assert not gradient[0].any() and not gradient[2].any()


@pytest.mark.parametrize("name", LEARNERS)
def test_saved_learner_scores_and_samples_as_before(name: str, tmp_path: Path) -> None:
    learner, x = made(name), items(name, 8)
    learner.prepare(x)
    learner.learn(x, *labels(learner, 8))
    save(tmp_path, name, learner, learner.networks)
    again = load(tmp_path).learner
    assert torch.equal(again.score(x), learner.score(x))
    one, other = (each.sample([3, 4])[each.size][-1] for each in (learner, again))
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", LEARNERS)
def test_feature_network_gives_the_learners_features_and_can_be_trained_from_scratch(
    name: str,
) -> None:
    learner, x = made(name), items(name, 3)
    assert isinstance(learner.feature_network, nn.Module)
    h = learner.features(x)
    assert torch.equal(learner.feature_network.features(x), h)
    fresh = untrained(learner.feature_network, seed=1)
    assert fresh.features(x).shape == h.shape and not torch.equal(fresh.features(x), h)
    assert torch.equal(learner.features(x), h)


def test_learner_that_can_hold_pixels_is_known_to() -> None:
    able = {"multigrid", "recovery", "latent_prior", "latent_amortised"}
    assert {name for name in LEARNERS if inpaints(name)} == able


@pytest.mark.parametrize(("application", "name"), APPLIED)
def test_application_of_one_learner_is_refused_to_others(application: str, name: str) -> None:
    assert [each for each in LEARNERS if not refusal(each, application)] == [name]


def test_an_experiment_that_inpaints_needs_a_learner_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pathlib import Path

    from tasks import settings
    from tasks.refusals import SettingsError

    class Blind(nn.Module):
        Settings = learner_class("multigrid").Settings

        def sample(self, seeds: object, *, keep: int = 0) -> None:
            """Draw, holding nothing."""

    monkeypatch.setattr("ebm.learn.learner_class", lambda name: Blind)
    with pytest.raises(SettingsError, match="learner multigrid cannot inpaint"):
        settings.read(Path(__file__).parents[2] / "params.yaml")
