"""The plain learner finds what is known, and each of its options does what it says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ebm.checkpoint import read, write
from ebm.fit import fit
from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learner import FitSettings
from ebm.networks import MLPSettings
from ebm.samplers.noise import seed_range
from ebm.stored import load, save

FRESH = {"noise": "gaussian", "scale": 1.0}
STARTS: dict[str, dict[str, Any]] = {
    "persistent": {"start": "persistent", "chains": 64, "rejuvenation": 0.0, **FRESH},
    "data": {"start": "data"},
    "noise": {"start": "noise", **FRESH},
}
STILL = {"steps": 1, "sample_steps": 1, "step_size": 1e-12, "temperature": 1.0}
MODEL: dict[str, Any] = {
    "network": {"kind": "mlp", "dim": 2, "widths": [8, 8], "scale": 1.0},
    "reference": None,
    "start": STARTS["persistent"],
    "sample_from": FRESH,
    "chain": {"steps": 5, "sample_steps": 20, "step_size": 0.1, "temperature": 1.0},
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "sgd", "rate": 0.1, "momentum": 0.0},
}
FIT = FitSettings(
    updates=400,
    batch=64,
    average=0.95,
    final_rate=0.1,
    check_every=50,
    checkpoint_every=400,
    gap_limit=50.0,
    rollbacks=0,
    slow_down=0.5,
)


def made(**changes: Any) -> MaximumLikelihood:
    torch.manual_seed(0)
    return MaximumLikelihood(MaximumLikelihoodSettings.model_validate({**MODEL, **changes}))


def points(count: int = 64, sd: float = 1.0) -> Tensor:
    return sd * torch.randn(count, 2, generator=torch.Generator().manual_seed(1))


def step(learner: MaximumLikelihood, x: Tensor) -> dict[str, Tensor]:
    learner.generator.manual_seed(2)
    learner.prepare(x)
    return learner.learn(x)


class Quadratic(nn.Module):
    """f(x) = -a |x|^2 / 2, the log density of N(0, I / a)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return -self.a * x.square().sum(1) / 2


@pytest.mark.parametrize("start", STARTS)
def test_precision_of_a_gaussian_is_learned_from_every_start(
    start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end a is 1 / sd^2, but for the step's bias a dt / 4 and the batch's noise."""
    monkeypatch.setattr(MLPSettings, "build", lambda self: Quadratic())
    chain = {"steps": 10, "sample_steps": 100, "step_size": 0.1, "temperature": 1.0}
    learner = made(start=STARTS[start], chain=chain)
    x = points(2000, sd=0.6)
    fitted = fit(learner, x, FIT, seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    assert float(learner.f.a.detach()) == pytest.approx(1 / 0.36, rel=0.2)
    sd = learner.sample(seed_range(0, 500))[2][-1].std()
    assert float(sd) == pytest.approx(0.6, rel=0.1)


def test_start_from_data_is_the_batch_and_from_noise_is_not() -> None:
    x = points(sd=0.1)
    for start, sd in (("data", 0.1), ("noise", 1.0), ("persistent", 1.0)):
        figures = step(made(start=STARTS[start], chain=STILL), x)
        assert float(figures["sd_samples"]) == pytest.approx(sd, rel=0.25), start


def test_persistent_chains_go_on_from_where_they_were() -> None:
    learner, x = made(), points()
    step(learner, x)
    before = learner.chains.state_dict()["states"].clone()
    still = made(chain=STILL)
    still.load_state_dict(learner.state_dict())
    still.learn(x)
    assert torch.allclose(still.chains.state_dict()["states"], before, atol=1e-4)
    assert float(before.std()) > 0.5


def test_gaussian_reference_alone_gives_its_samples_and_adds_to_the_score() -> None:
    learner = made(
        reference=0.5,
        chain={"steps": 1, "sample_steps": 200, "step_size": 0.02, "temperature": 1.0},
    )
    for parameter in learner.f.parameters():
        nn.init.zeros_(parameter)
    assert float(learner.sample(seed_range(0, 600))[2][-1].std()) == pytest.approx(0.5, rel=0.1)
    x = points(4)
    assert torch.allclose(learner.score(x), -x.square().sum(1) / 0.5)


def test_data_noise_widens_the_data_that_is_learned_from() -> None:
    x = torch.zeros(500, 2)
    figures = step(made(data_noise=0.3, start=STARTS["data"]), x)
    assert float(figures["sd_data"]) == pytest.approx(0.3, rel=0.1)


def test_decay_holds_the_level_of_f_which_the_likelihood_leaves_free() -> None:
    x = points()
    for decay in (0.0, 1.0):
        learner = made(decay=decay)
        nn.init.constant_(learner.f.head.bias, 3.0)
        step(learner, x)
        moved = 3.0 - float(learner.f.head.bias.detach())
        assert (moved > 0.1) if decay else abs(moved) < 1e-5


def test_gradient_clip_bounds_the_step() -> None:
    x = 10 * points()
    lengths = []
    for clip in (None, 0.01):
        learner = made(gradient_clip=clip, optimiser={"kind": "sgd", "rate": 1.0, "momentum": 0.0})
        before = nn.utils.parameters_to_vector(learner.f.parameters()).clone()
        step(learner, x)
        after = nn.utils.parameters_to_vector(learner.f.parameters())
        lengths.append(float((after - before).norm()))
    assert lengths[0] > 0.1 and lengths[1] == pytest.approx(0.01, rel=1e-3)


def test_drift_clip_bounds_a_step_of_the_chain() -> None:
    """Without noise a step is dt / 2 times the gradient, of which each component is clipped."""
    x, moved = points(), {}
    for clip in (None, 0.01):
        chain = {"steps": 1, "sample_steps": 1, "step_size": 0.5, "temperature": 0.0, "clip": clip}
        learner = made(chain=chain)
        with torch.no_grad():
            for parameter in learner.f.parameters():
                parameter.mul_(5)
        moved[clip] = (learner.synthesise(x)[0] - x).abs()
    assert float(moved[None].max()) > 0.01
    assert float(moved[0.01].max()) == pytest.approx(0.5 / 2 * 0.01, rel=1e-3)
    small = moved[None] < 0.5 / 2 * 0.01
    assert torch.allclose(moved[0.01][small], moved[None][small], atol=1e-6)


def test_momentum_is_that_of_the_optimiser() -> None:
    adam = made(optimiser={"kind": "adam", "rate": 0.002, "momentum": 0.5}).optimisers["f"]
    assert isinstance(adam, torch.optim.Adam) and adam.defaults["betas"] == (0.5, 0.999)
    sgd = made(optimiser={"kind": "sgd", "rate": 0.002, "momentum": 0.9}).optimisers["f"]
    assert isinstance(sgd, torch.optim.SGD) and sgd.defaults["momentum"] == 0.9
    assert adam.defaults["lr"] == sgd.defaults["lr"] == 0.002


def layers(learner: MaximumLikelihood) -> list[nn.Linear]:
    return [m for m in learner.f.modules() if isinstance(m, nn.Linear)]


def test_spectral_normalisation_holds_every_layer_but_the_last() -> None:
    """Every weight begins five times as large; the largest singular values after learning."""
    x, found = points(), {}
    for spectral in (False, True):
        learner = made(spectral=spectral, optimiser={"kind": "sgd", "rate": 0.01, "momentum": 0.0})
        with torch.no_grad():
            for name, parameter in learner.f.named_parameters():
                if "weight" in name:
                    parameter.mul_(5)
        step(learner, x)
        for _ in range(30):
            learner.learn(x)
        learner.f.eval()
        weights = [layer.weight.detach() for layer in layers(learner)]
        found[spectral] = [float(torch.linalg.svdvals(weight)[0]) for weight in weights]
    assert min(found[False]) > 1.5
    assert found[True][:-1] == pytest.approx([1.0, 1.0], abs=0.02)
    assert found[True][-1] > 1.5


def test_spectral_normalisation_stands_still_while_chains_run() -> None:
    learner, x = made(spectral=True), points(5)
    before = {key: value.clone() for key, value in learner.networks.state_dict().items()}
    seeds = seed_range(0, 3)
    assert torch.equal(learner.sample(seeds)[2][-1], learner.sample(seeds)[2][-1])
    assert torch.equal(learner.score(x), learner.score(x))
    after = learner.networks.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert learner.f.training and all(p.requires_grad for p in learner.f.parameters())


def test_bounds_hold_chains_and_noisy_data() -> None:
    chain = {**MODEL["chain"], "bounds": 0.5}
    learner = made(chain=chain)
    step(learner, 4 * points())
    assert float(learner.chains.state_dict()["states"].abs().max()) <= 0.5
    assert float(learner.blur(4 * points()).abs().max()) == 0.5


def test_images_are_learned_by_the_same_code() -> None:
    network = {"kind": "convnet", "size": 4, "channels": 3, "width": 4}
    learner = made(network=network, start=STARTS["noise"], chain={**MODEL["chain"], "bounds": 1.0})
    figures = step(learner, torch.rand(8, 3, 4, 4) * 2 - 1)
    assert all(torch.isfinite(value) and value.shape == () for value in figures.values())
    states = learner.sample([1, 2], keep=10)
    assert [state.shape for state in states[4]] == [(2, 3, 4, 4)] * 3
    assert learner.size == 4 and learner.settings.channels == 3


def test_data_of_another_shape_are_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\); model.network takes \(2,\)"):
        made().prepare(torch.zeros(5, 3))


def test_stage_below_is_refused() -> None:
    with pytest.raises(ValueError, match="has one stage; its below must be null"):
        MaximumLikelihood(made().settings, below=made())  # type: ignore[arg-type]


@pytest.mark.parametrize("chain", [{"noise": 0.1}, {"temperature": None}])
def test_noise_is_given_once(chain: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give one of them"):
        made(chain={**MODEL["chain"], **chain})


def test_learning_the_head_alone_leaves_every_other_layer_as_it_was() -> None:
    learner, x = made(learned="head"), points()
    before = {key: value.clone() for key, value in learner.f.state_dict().items()}
    step(learner, x)
    moved = {key for key, value in learner.f.state_dict().items() if (value != before[key]).any()}
    assert moved == {"head.weight"}  # the bias has no gradient: it does not tell data from samples


def test_with_the_head_alone_the_step_is_the_gap_of_the_features() -> None:
    learner, x = made(learned="head", start=STARTS["data"], chain=STILL), points()
    learner.generator.manual_seed(0)
    shifted = x + 1.0
    learner.chains.start = lambda n, data, generator: (shifted.clone(), None)  # type: ignore[method-assign]
    before = learner.f.head.weight.detach().clone()
    learner.learn(x)
    with torch.no_grad():
        gap = learner.f.features(x).mean(0) - learner.f.features(shifted).mean(0)
    rate = MODEL["optimiser"]["rate"]
    assert torch.allclose(learner.f.head.weight.detach() - before, rate * gap[None], atol=1e-5)


def test_what_is_learned_is_not_written_down_where_it_is_all() -> None:
    assert "learned" not in made().settings.model_dump()
    assert made(learned="head").settings.model_dump()["learned"] == "head"


def test_normalised_layers_are_not_held_still() -> None:
    with pytest.raises(ValidationError, match="leave spectral out"):
        made(learned="head", spectral=True)


def test_noise_on_the_data_is_an_items_own_where_it_has_a_seed() -> None:
    learner, x = made(data_noise=0.3), points(3)
    noisy = learner.blur(x, [1, 2, 3])
    assert torch.equal(noisy, learner.blur(x, [1, 2, 3]))
    assert torch.allclose(noisy[1:2], learner.blur(x[1:2], [2]))
    assert 0.05 < float((noisy - x).std()) < 0.6


# Samples that go on from the chains of learning


def kept(**changes: Any) -> MaximumLikelihood:
    """Return a learner whose few chains stand at 100, 200, ..."""
    start = {**STARTS["persistent"], "chains": 5}
    learner = made(start=start, sample_from="chains", chain=STILL, **changes)
    learner.restore(100.0 * torch.arange(1, 6)[:, None].expand(5, 2))
    return learner


def test_samples_go_on_from_kept_chains_also_where_there_are_more_of_them() -> None:
    ends = kept().sample(seed_range(0, 60))[2][-1]
    assert set(ends.round().flatten().tolist()) == {100.0, 200.0, 300.0, 400.0, 500.0}
    assert torch.equal(kept().sample(seed_range(0, 60)[7:8])[2][-1], ends[7:8])


def test_chains_that_share_a_state_have_noise_of_their_own() -> None:
    learner = kept()
    chain = {"steps": 1, "sample_steps": 3, "step_size": 0.1, "temperature": 1.0}
    free = made(start=learner.settings.start, sample_from="chains", chain=chain)
    free.restore(learner.kept())
    ends = free.sample(seed_range(0, 60))[2][-1]
    assert len({tuple(end) for end in ends.tolist()}) == 60


def test_noise_of_a_learner_with_kept_chains_is_that_of_its_start() -> None:
    z = kept().noise(2000, seed_range(0, 2000))
    assert float(z.std()) == pytest.approx(1.0, rel=0.05)


def test_chains_that_are_not_kept_are_not_gone_on_from() -> None:
    for start in ("data", "noise"):
        with pytest.raises(ValidationError, match="only persistent chains are kept"):
            made(start=STARTS[start], sample_from="chains")
        assert made(start=STARTS[start]).kept() is None
    with pytest.raises(ValueError, match="holds no chains to go on from"):
        kept().restore(None)
    with pytest.raises(ValidationError, match="sample_from"):
        made(sample_from="chain")


def test_kept_chains_come_back_with_the_model_and_old_models_without_them_load(
    tmp_path: Path,
) -> None:
    learner = kept()
    save(tmp_path, "maximum_likelihood", learner, learner.networks)
    again = load(tmp_path).learner
    seeds = seed_range(0, 9)
    assert torch.equal(again.sample(seeds)[2][-1], learner.sample(seeds)[2][-1])
    content = read(tmp_path / "model.pt")
    del content["chains"]
    write(tmp_path / "model.pt", content)
    with pytest.raises(ValueError, match="holds no chains to go on from; run its training stage"):
        load(tmp_path)
    plain = made()
    save(tmp_path, "maximum_likelihood", plain, plain.networks)
    write(tmp_path / "model.pt", {"0": read(tmp_path / "model.pt")["0"]})
    assert torch.equal(load(tmp_path).learner.sample(seeds)[2][-1], plain.sample(seeds)[2][-1])


def test_loaded_model_may_be_trained_whole_though_its_head_alone_was_learned(
    tmp_path: Path,
) -> None:
    learner = made(learned="head", start=STARTS["noise"])
    save(tmp_path, "maximum_likelihood", learner, learner.networks)
    assert "chains" not in read(tmp_path / "model.pt")
    assert all(p.requires_grad for p in load(tmp_path).learner.networks.parameters())


SOURCE: dict[str, Any] = {"start": {"start": "source"}, "sample_from": "chains"}


def test_chains_from_a_source_learn_to_end_at_the_data_and_keep_what_needs_no_change() -> None:
    """Source and data differ by 3 in the first coordinate alone; the second tells items apart."""
    chain = {"steps": 20, "sample_steps": 20, "step_size": 0.1, "noise": 0.0}
    settings = {"kind": "adam", "rate": 0.01, "momentum": 0.5}
    network = {"kind": "mlp", "dim": 2, "widths": [32, 32], "scale": 1.0}
    learner = made(**SOURCE, chain=chain, optimiser=settings, network=network, data_noise=0.1)
    shift, spread = torch.tensor([3.0, 0.0]), torch.tensor([0.2, 1.0])
    learner.begin_at(points(256) * spread - shift / 2)
    fitted = fit(learner, points(300)[44:] * spread + shift / 2, FIT, seed=0)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    held = torch.randn(200, 2, generator=torch.Generator().manual_seed(5)) * spread - shift / 2
    end = learner.translate(held, range(200))[-1]
    steps = learner.settings.chain.sample_steps
    for keep in (steps - 1, steps):  # one that the steps are no multiple of, and one that they are
        states = learner.translate(held, range(200), keep=keep)
        assert torch.equal(states[-1], end) and len(states) == -(-steps // keep) + 1
    assert end[:, 0].mean() == pytest.approx(1.5, abs=0.3)
    assert torch.corrcoef(torch.stack([held[:, 1], end[:, 1]]))[0, 1] > 0.7


def test_samples_of_a_translator_are_translations_of_the_images_kept_beside_it(
    tmp_path: Path,
) -> None:
    learner = made(**SOURCE)
    learner.begin_at(points(9) + 4)
    learner.prepare(points())
    save(tmp_path, "maximum_likelihood", learner, learner.networks)
    loaded = load(tmp_path).learner
    path = loaded.sample(seed_range(0, 5), keep=10)[2]
    assert len(path) == 3 and set(map(tuple, path[0].tolist())) <= set(
        map(tuple, (points(9) + 4).tolist())
    )
    assert torch.equal(path[-1], learner.sample(seed_range(0, 5))[2][-1])


def test_translator_is_refused_what_it_has_not() -> None:
    with pytest.raises(ValidationError, match="start is 'source' and sample_from is noise"):
        made(start={"start": "source"})
    learner = made(**SOURCE)
    with pytest.raises(ValueError, match="no start from noise"):
        learner.noise(1, [0])
    with pytest.raises(ValueError, match=r"of shape \(3,\); model.network takes \(2,\)"):
        learner.begin_at(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="there are none"):
        step(learner, points())
