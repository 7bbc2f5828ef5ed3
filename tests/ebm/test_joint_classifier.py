"""One network is a classifier and a density, and the plain twin is its classifier alone."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ebm.fit import fit
from ebm.learn.joint_classifier import JointClassifier, JointClassifierSettings, Marginal
from ebm.learn.maximum_likelihood import MaximumLikelihood, MaximumLikelihoodSettings
from ebm.learner import FitSettings
from ebm.networks.convnet import ConvNet
from ebm.networks.mlp import MLP
from ebm.samplers.langevin import slope_of, value_and_grad
from ebm.samplers.straight import straight

MODEL: dict[str, Any] = {
    "network": {"kind": "mlp", "dim": 2, "widths": [16, 16], "scale": 1.0, "classes": 2},
    "reference": 3.0,
    "start": {
        **{"start": "persistent", "chains": 200, "rejuvenation": 0.05},
        **{"noise": "gaussian", "scale": 3.0},
    },
    "sample_from": "chains",
    "chain": {"steps": 5, "sample_steps": 5, "step_size": 0.1, "temperature": 1.0},
    "data_noise": 0.0,
    "decay": 0.0,
    "optimiser": {"kind": "adam", "rate": 0.01, "momentum": 0.0},
    "label_weight": 1.0,
    "twin": True,
}
FIT = FitSettings(
    updates=200,
    batch=64,
    average=0.95,
    final_rate=0.1,
    check_every=50,
    checkpoint_every=200,
    gap_limit=50.0,
    rollbacks=0,
    slow_down=0.5,
)
MEANS = torch.tensor([[-2.0, 0.0], [2.0, 0.0]])


def made(**changes: Any) -> JointClassifier:
    torch.manual_seed(0)
    return JointClassifier(JointClassifierSettings.model_validate({**MODEL, **changes}))


def two_gaussians(count: int = 1000) -> tuple[Tensor, Tensor]:
    """Points of N((-2, 0), I) and of N((2, 0), I), and which."""
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(2, (count,), generator=generator)
    return MEANS[y] + torch.randn(count, 2, generator=generator), y


@pytest.mark.parametrize(
    ("scores", "shape"), [(ConvNet(8, 1, 4, outputs=3), (1, 8, 8)), (MLP(2, [5], 2.0, 4), (2,))]
)
def test_log_sum_exp_without_autograd_has_autograds_bits(
    scores: nn.Module, shape: tuple[int, ...]
) -> None:
    f, x = Marginal(scores), torch.randn(6, *shape)
    assert straight(f, x) is not None
    for found, right in zip(slope_of(f, x)(x), value_and_grad(f, x), strict=True):
        assert torch.equal(found, right)


def test_classes_and_density_of_two_gaussians_are_learned() -> None:
    """The posterior of y is logistic with slope 4 in the first coordinate."""
    learner, (x, y) = made(), two_gaussians()
    fitted = fit(learner, x, FIT, seed=0, labels=y)
    learner.networks.load_state_dict(fitted.networks.state_dict())
    grid = torch.tensor([[-1.0, 0.0], [-0.3, 0.5], [0.3, -0.5], [1.0, 0.0]])
    for scores in learner.classifiers().values():
        found = scores(grid).softmax(1)[:, 1].detach()
        assert torch.allclose(found, torch.sigmoid(4 * grid[:, 0]), atol=0.15)
    log_p = learner.score(torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 4.0], [6.0, 0.0]])).detach()
    assert log_p[:2].min() > log_p[2:].max() + 2
    drawn = learner.sample(range(200))[2][-1]
    assert abs(float(drawn[:, 0].abs().mean()) - 2) < 0.4
    assert drawn.std(0)[1] < 2


def test_density_is_the_sum_over_the_classes_and_the_classifier_their_shares() -> None:
    learner, x = made(), torch.randn(5, 2)
    scores = learner.scores(x)
    joint = scores - x.square().sum(1, keepdim=True) / 18
    assert torch.allclose(learner.score(x), joint.logsumexp(1), atol=1e-5)
    shares = joint.softmax(1)
    assert torch.allclose(shares, scores.softmax(1))


def first_weights(learner: JointClassifier) -> Tensor:
    """Return the twin's first weights."""
    return next(iter(learner.networks["plain"].parameters()))


def test_twin_begins_alike_and_learns_by_the_labels_alone() -> None:
    learner, (x, y) = made(), two_gaussians(64)
    assert torch.equal(learner.f(x), learner.networks["plain"](x))
    plain = made(**{"label_weight": 1.0})
    for each in (learner, plain):
        each.generator.manual_seed(2)
        each.prepare(x)
    learner.learn(x, y)
    plain.learn_plain(x, y)
    pairs = [each.networks["plain"].parameters() for each in (learner, plain)]
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))
    assert not torch.equal(first_weights(plain), first_weights(made()))


def test_without_labels_gradient_it_is_maximum_likelihood_of_the_marginal() -> None:
    """With a weight of the labels that vanishes, a step is that of f = log sum_c exp f_c."""
    joint, (x, y) = made(label_weight=1e-30, twin=False), two_gaussians(64)
    alone = {k: v for k, v in MODEL.items() if k not in ("label_weight", "twin")}
    network = {k: v for k, v in MODEL["network"].items() if k != "classes"}
    plain = MaximumLikelihood(
        MaximumLikelihoodSettings.model_validate({**alone, "network": network})
    )
    plain.networks["f"] = Marginal(made(twin=False).f)
    plain.through["f"] = plain.networks["f"]
    plain.optimisers["f"] = plain.settings.optimiser.build(plain.networks["f"])
    for each in (joint, plain):
        each.generator.manual_seed(2)
        each.prepare(x)
    one, other = joint.learn(x, y), plain.learn(x)
    for key in other:
        assert torch.allclose(one[key], other[key]), key
    pairs = zip(joint.f.parameters(), plain.f.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_labels_that_fit_no_class_or_no_datum_are_refused_before_any_work() -> None:
    x, y = two_gaussians(64)
    with pytest.raises(ValueError, match=r"labels lie in 0..2, and .*classes is 2; give 3"):
        fit(made(), x, FIT, seed=0, labels=y + (y > 0))
    with pytest.raises(ValueError, match=r"labels are \(63,\); give one a datum, \(64,\)"):
        fit(made(), x, FIT, seed=0, labels=y[1:])
    with pytest.raises(ValueError, match="joint_classifier has one stage"):
        JointClassifier(made().settings, below=made())  # type: ignore[arg-type]


def test_other_learners_refuse_a_network_of_several_outputs() -> None:
    given = {k: v for k, v in MODEL.items() if k not in ("label_weight", "twin")}
    with pytest.raises(ValidationError, match=r"network.mlp.classes"):
        MaximumLikelihoodSettings.model_validate(given)
