"""FRAME over filters of a CNN: closed forms of its statistics, and what its folder holds."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ebm.learn.maximum_likelihood import MaximumLikelihood
from ebm.networks import FrameCNNSettings
from ebm.networks.frame_cnn import FrameCNN
from ebm.networks.vgg import Trunk
from ebm.samplers.langevin import grad
from ebm.stored import load, save

NETWORK: dict[str, Any] = {
    **{"kind": "frame_cnn", "size": 8, "channels": 1, "layers": ["conv1_1"], "unfitted": []},
    **{"homogeneous": True, "activation": "softplus", "pooling": "average"},
    **{"padding": "circular", "weights": None, "sha256": None, "head_scale": 1.0},
}


def settings(**changes: Any) -> FrameCNNSettings:
    return FrameCNNSettings.model_validate({**NETWORK, **changes})


def made(**changes: Any) -> FrameCNN:
    torch.manual_seed(0)
    return settings(**changes).build()  # type: ignore[return-value]


def pictures(count: int, size: int = 8, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, channels, size, size, generator=generator) * 2 - 1


@pytest.mark.parametrize("homogeneous", [True, False])
def test_statistics_of_the_data_have_mean_0_and_deviation_1(homogeneous: bool) -> None:
    f, x = made(homogeneous=homogeneous, layers=["conv1_1", "conv2_1"]), pictures(40)
    f.observe(x)
    z = f.features(x)
    assert torch.allclose(z.mean(0), torch.zeros(z.shape[1]), atol=1e-3)
    assert (z.std(0) <= 1.001).all() and z.std(0).median() > 0.99


def test_f_is_the_weighted_sum_of_the_maps() -> None:
    f, x = made(homogeneous=False), pictures(5)
    f.observe(pictures(40))
    (maps,) = f.trunk(x)
    w = f.head.weight.view(64, 8, 8) / f.s.view(64, 8, 8)
    right = (w * (maps - f.m.view(64, 8, 8))).sum((1, 2, 3))
    assert torch.allclose(f(x), right, atol=1e-4)


def test_gradient_of_one_layer_is_the_transposed_convolution() -> None:
    """grad f = sum_k B_k * ( w_k h'(r_k) / (N s_k) ), with softplus' h' the logistic function."""
    f, x = made(padding="constant"), pictures(3)
    f.observe(pictures(40))
    weight, bias = f.trunk.get_buffer("conv1_1_weight"), f.trunk.get_buffer("conv1_1_bias")
    shown = (x.expand(-1, 3, -1, -1).add(1) / 2 - f.trunk.mean) / f.trunk.sd
    r = torch.nn.functional.conv2d(shown, weight, bias, padding=1)
    w = (f.head.weight[0] / f.s / 64)[:, None, None]
    back = torch.nn.functional.conv_transpose2d(w * r.sigmoid(), weight, padding=1)
    right = (back / (2 * f.trunk.sd)).sum(1, keepdim=True)
    assert torch.allclose(grad(f, x), right, atol=1e-5)


def test_same_everywhere_means_that_f_follows_a_picture_round_its_edges_and_grows_with_it() -> None:
    f, x = made(layers=["conv1_1", "conv1_2"]), pictures(4)
    f.observe(pictures(40))
    assert torch.allclose(f(x.roll((3, 5), (2, 3))), f(x), atol=1e-4)
    assert torch.allclose(f(x.repeat(1, 1, 2, 3)), 6 * f(x), atol=1e-3)


def test_statistic_that_hardly_varies_weighs_little() -> None:
    f = made()
    f.trunk.get_buffer("conv1_1_weight")[7] = 0
    f.observe(pictures(40))
    assert f.s[7] == pytest.approx(0.1 * float(f.s[f.s > f.s[7]].square().sum().div(64).sqrt()))


def test_views_are_the_fitted_maps_and_others() -> None:
    f, x = made(layers=["conv1_1", "conv2_1"], unfitted=["conv2_2"]), pictures(2)
    views = f.views()
    assert {k: v(x).shape for k, v in views.items()} == {
        "fitted": (2, 192, 8, 8),
        "unfitted": (2, 128, 4, 4),
        "noise": (2, 20, 2, 2),
    }
    maps = f.trunk(x, ["conv2_1"])[0]
    assert torch.equal(views["fitted"](x)[:, 64:, ::2, ::2], maps)
    assert "unfitted" not in made().views()


def test_file_of_filters_is_named_with_its_checksum_and_inside_the_project() -> None:
    with pytest.raises(ValueError, match="weights is 'a.pth' and sha256 is None; give both"):
        settings(weights="a.pth")
    for path in ("/a.pth", "../a.pth"):
        with pytest.raises(ValueError, match="must be a path inside the project"):
            settings(weights=path, sha256="0" * 64)


def learner(**changes: Any) -> MaximumLikelihood:
    chain = {"steps": 5, "sample_steps": 3, "step_size": 0.02, "temperature": 1.0}
    start = {"start": "persistent", "noise": "gaussian", "scale": 0.4, "chains": 16}
    given = {
        **{"network": {**NETWORK, "head_scale": 0.0, **changes}, "reference": 0.4},
        **{"start": {**start, "rejuvenation": 0.0}, "sample_from": "chains", "chain": chain},
        **{"data_noise": 0.0, "decay": 0.0},
        "optimiser": {"kind": "adam", "rate": 0.3, "momentum": 0.0},
    }
    torch.manual_seed(0)
    return MaximumLikelihood(MaximumLikelihood.Settings.model_validate(given))


def test_only_w_is_learned_and_it_brings_the_statistics_of_chains_to_those_of_data() -> None:
    one, x = learner(), pictures(64).cumsum(3) / 4  # smooth along a row, unlike the reference
    one.prepare(x)
    assert [name for name, _ in one.f.named_parameters()] == ["head.weight"]
    filters = one.f.trunk.get_buffer("conv1_1_weight").clone()  # type: ignore[union-attr]
    gaps = []
    for _ in range(60):
        gaps.append(float(one.f.features(one.chains.states).mean(0).norm()))  # type: ignore
        one.learn(x[:16])
    assert gaps[-1] < gaps[0] / 3
    assert torch.equal(one.f.trunk.get_buffer("conv1_1_weight"), filters)  # type: ignore


def test_folder_of_a_model_needs_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Trunk(["conv1_1"])
    trained = [(drawn.get_buffer("conv1_1_weight") + 1, drawn.get_buffer("conv1_1_bias") + 2)]
    monkeypatch.setattr("ebm.networks.frame_cnn.read_filters", lambda path, sha256: trained)
    one, x = learner(weights="vgg16.pth", sha256="0" * 64), pictures(8)
    one.prepare(x)
    assert torch.equal(one.f.trunk.get_buffer("conv1_1_weight"), trained[0][0])  # type: ignore
    one.learn(x)
    save(tmp_path, "maximum_likelihood", one, one.networks)
    monkeypatch.undo()
    again = load(tmp_path).learner
    assert torch.equal(again.score(x), one.score(x))


def test_missing_file_of_filters_is_named_before_anything_is_learned() -> None:
    with pytest.raises(ValueError, match=r"none\.pth, the weights of VGG-16, is missing"):
        learner(weights="none.pth", sha256="0" * 64).prepare(pictures(8))
