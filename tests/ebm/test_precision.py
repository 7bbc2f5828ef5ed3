"""bfloat16 in the network, float32 in all that a chain keeps; optimisers fused on a GPU."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ebm.energy import in_precision, tilt
from ebm.learn.maximum_likelihood_settings import MaximumLikelihoodSettings
from ebm.learn.multigrid import Multigrid
from ebm.learn.multigrid_settings import Grid, MultigridSettings
from ebm.learn.parts import ChainSettings, OptimiserSettings
from ebm.networks.convnet import ConvNet
from ebm.samplers.langevin import langevin, value_and_grad

CHAIN = {"steps": 4, "sample_steps": 4, "step_size": 0.1, "temperature": 1.0}
GRID = {
    **{"size": 4, "width": 4, "steps": 3, "step_size": 0.1, "noise": 0.1, "start_noise": 0.0},
    **{"bounds": 1.0, "data_noise": 0.0, "rate": 1e-3, "momentum": 0.0, "decay": 0.0},
}
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    ),
]
everywhere = pytest.mark.parametrize("device", DEVICES)


class Gaussian(nn.Module):
    """f(x) = x . W x, with W = -I / 2: log N(x; 0, I), by a product that autocast rounds."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.product = nn.Linear(dim, dim, bias=False).requires_grad_(False)
        self.product.weight.copy_(-torch.eye(dim) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.product(x)).sum(1)


def images(count: int = 32, device: str = "cpu") -> Tensor:
    source = torch.Generator().manual_seed(1)
    return torch.randn(count, 1, 8, 8, generator=source).to(device)


@everywhere
@pytest.mark.parametrize("reference", [None, 1.0])
def test_gradient_is_float32_and_near_that_of_float32(device: str, reference: float | None) -> None:
    torch.manual_seed(0)
    f = tilt(ConvNet(8, width=16).to(device).requires_grad_(False), reference)
    x = images(device=device)
    value, gradient = value_and_grad(f, x)
    rounded, near = value_and_grad(in_precision(f, "bfloat16"), x)
    assert rounded.dtype == near.dtype == torch.float32
    assert 0 < (near - gradient).norm() < 0.01 * gradient.norm()
    assert (rounded - value).norm() < 0.02 * value.norm()


@everywhere
def test_chain_on_gaussian_has_the_right_moments_in_bfloat16(device: str) -> None:
    f = in_precision(Gaussian(50).to(device), "bfloat16")
    start, source = torch.full((4000, 50), 3.0, device=device), torch.Generator(device)
    x, record = langevin(f, start, steps=60, step_size=0.5, generator=source.manual_seed(0))
    assert x.dtype == record.strength.dtype == torch.float32
    assert x.mean().item() == pytest.approx(0, abs=0.015)
    assert x.var().item() == pytest.approx(1 / (1 - 0.5 / 4), rel=0.015)
    assert not torch.equal(x, x.bfloat16().float()), "the state is kept in full"


def test_float32_is_the_function_itself_and_others_are_refused() -> None:
    f = Gaussian(2)
    assert in_precision(f, "float32") is f
    with pytest.raises(ValueError, match="precision is 'half'; it must be 'float32' or 'bfloat16'"):
        in_precision(f, "half")  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "given"), [(ChainSettings, CHAIN), (Grid, GRID)])
def test_precision_is_written_down_only_where_it_is_given(kind: Any, given: dict[str, Any]) -> None:
    plain, low = (
        kind.model_validate({**given, **more}) for more in ({}, {"precision": "bfloat16"})
    )
    assert "precision" not in plain.model_dump() and low.model_dump()["precision"] == "bfloat16"
    assert kind.model_validate({**given, "precision": "float32"}).model_dump() == plain.model_dump()
    with pytest.raises(ValidationError, match="should be 'float32' or 'bfloat16'"):
        kind.model_validate({**given, "precision": "float16"})


def test_learning_is_rounded_and_sampling_with_seeds_is_not() -> None:
    torch.manual_seed(0)
    network, x = ConvNet(8, width=8).requires_grad_(False), images(3)
    plain, low = (
        ChainSettings.model_validate({**CHAIN, "precision": precision})
        for precision in ("float32", "bfloat16")
    )

    def run(chain: ChainSettings, **source: Any) -> Tensor:
        return chain.run(network, x, steps=4, **source)[0]

    ends = [run(chain, generator=torch.Generator().manual_seed(0)) for chain in (plain, low)]
    assert not torch.equal(*ends) and torch.allclose(*ends, atol=0.02)
    ends = [run(chain, seeds=[1, 2, 3]) for chain in (plain, low)]
    assert torch.equal(*ends)


def test_grids_learn_in_bfloat16_with_parameters_in_float32() -> None:
    learned = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        settings = {"channels": 1, "grids": [{**GRID, "precision": precision}]}
        learner = Multigrid(MultigridSettings.model_validate(settings))
        learner.generator.manual_seed(0)
        learner.prepare(images())
        figures = learner.learn(images().clamp(-1, 1))
        assert all(value.dtype == torch.float32 for value in figures.values())
        assert all(p.dtype == torch.float32 for p in learner.networks.parameters())
        learned.append((figures["4/sd_samples"], learner.sample([5])[4][-1]))
    assert not torch.equal(learned[0][0], learned[1][0])
    assert torch.allclose(learned[0][0], learned[1][0], rtol=0.01)


def test_singular_values_are_not_rounded() -> None:
    fresh = {"noise": "gaussian", "scale": 1.0}
    settings = {
        "network": {"kind": "mlp", "dim": 2, "widths": [8, 8], "scale": 1.0},
        "reference": None,
        "start": {"start": "noise", **fresh},
        "sample_from": fresh,
        "chain": {**CHAIN, "precision": "bfloat16"},
        "data_noise": 0.0,
        "decay": 0.0,
        "optimiser": {"kind": "sgd", "rate": 0.1, "momentum": 0.0},
    }
    MaximumLikelihoodSettings.model_validate(settings)
    with pytest.raises(ValidationError, match="spectral is True and chain.precision is 'bfloat16'"):
        MaximumLikelihoodSettings.model_validate({**settings, "spectral": True})


@everywhere
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_optimiser_is_fused_where_its_parameters_are_on_a_gpu(device: str, kind: Any) -> None:
    settings = OptimiserSettings(kind=kind, rate=0.1, momentum=0.5)
    asked = True if device == "cuda" else None
    assert settings.build(nn.Linear(2, 1).to(device)).param_groups[0]["fused"] is asked
    grids = MultigridSettings.model_validate({"channels": 1, "grids": [GRID]})
    for optimiser in Multigrid(grids, device=device).optimisers.values():
        assert optimiser.param_groups[0]["fused"] is asked
