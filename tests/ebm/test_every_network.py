"""What every energy network promises, over shapes that hypothesis chooses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from ebm.checkpoint import read, write
from ebm.networks import NetworkSettings
from ebm.samplers.langevin import slope_of, value_and_grad
from ebm.settings import Settings

OWN = {"frame", "sparse_frame"}  # 0 at first: tests/ebm/test_frame.py, test_sparse_frame.py
CLASSES = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind
    for kind in get_args(get_args(NetworkSettings)[0])
    if get_args(kind.model_fields["kind"].annotation)[0] not in OWN
}
EXAMPLES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "mlp": st.fixed_dictionaries(
        {
            "dim": st.integers(1, 5),
            "widths": st.lists(st.integers(1, 9), min_size=1, max_size=3),
            "scale": st.sampled_from([0.3, 1.0, 4.0]),
        }
    ),
    "convnet": st.fixed_dictionaries(
        {
            "size": st.sampled_from([2, 4, 8, 32]),
            "channels": st.integers(1, 3),
            "width": st.integers(1, 5),
            "widest": st.sampled_from([None, 5, 8]),
        }
    ),
    "frame_cnn": st.fixed_dictionaries(
        {
            "size": st.sampled_from([8, 12]),
            "channels": st.sampled_from([1, 3]),
            "layers": st.sampled_from([["conv1_1"], ["conv2_1"], ["conv1_2", "conv2_1"]]),
            "unfitted": st.just([]),
            "homogeneous": st.booleans(),
            "activation": st.sampled_from(["relu", "silu", "celu", "softplus"]),
            "pooling": st.sampled_from(["max", "average"]),
            "padding": st.sampled_from(["constant", "reflect", "circular"]),
            "weights": st.none(),
            "sha256": st.none(),
            "head_scale": st.just(1.0),
        }
    ),
}


def every(few: int = 12) -> Callable[[Any], Any]:
    """Run a test of (kind, data) over all kinds of networks, `few` shapes each."""

    def over(test: Any) -> Any:
        quick = settings(
            max_examples=few,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture],
        )
        return pytest.mark.parametrize("kind", CLASSES)(quick(given(data=st.data())(test)))

    return over


def drawn(kind: str, data: st.DataObject) -> tuple[Settings, nn.Module, Tensor]:
    """Return settings, their network and five items, (5, ...)."""
    assert kind in EXAMPLES, f"give {kind} shapes in EXAMPLES, so that its promises are tested"
    chosen = CLASSES[kind].model_validate({"kind": kind, **data.draw(EXAMPLES[kind])})
    torch.manual_seed(0)
    x = torch.rand(5, *chosen.shape) * 2 - 1
    return chosen, chosen.build(), x


@every()
def test_f_is_one_number_an_item_and_features_are_a_row(kind: str, data: st.DataObject) -> None:
    _, network, x = drawn(kind, data)
    assert network(x).shape == (5,)
    features = network.features(x)  # type: ignore[operator]
    assert features.ndim == 2 and len(features) == 5
    width = network.head.in_features  # type: ignore[union-attr]
    assert torch.allclose(network.head(features[:, -width:]).squeeze(1), network(x))  # type: ignore[operator]


@every()
def test_layers_that_a_network_says_it_is_in_turn_are_what_it_computes(
    kind: str, data: st.DataObject
) -> None:
    _, network, x = drawn(kind, data)
    if not hasattr(network, "in_turn"):
        return
    for found, right in zip(slope_of(network, x)(x), value_and_grad(network, x), strict=True):
        assert torch.equal(found, right)


@every()
def test_gradients_are_finite_and_reach_the_item_and_every_parameter(
    kind: str, data: st.DataObject
) -> None:
    _, network, x = drawn(kind, data)
    x.requires_grad_(True)
    network(x).sum().backward()
    for name, value in [("x", x), *network.named_parameters()]:
        assert value.grad is not None and value.grad.isfinite().all(), name
        assert value.grad.any(), name


@every()
def test_f_of_an_item_does_not_depend_on_its_batch(kind: str, data: st.DataObject) -> None:
    _, network, x = drawn(kind, data)
    alone = torch.cat([network(item[None]) for item in x])
    assert torch.allclose(alone, network(x), atol=1e-5)
    assert network(x).std() > 0


@every(few=5)
def test_saved_and_loaded_network_gives_the_same_bits(
    kind: str, data: st.DataObject, tmp_path: Path
) -> None:
    chosen, network, x = drawn(kind, data)
    write(tmp_path / "network.pt", dict(network.state_dict()))
    other = chosen.build()  # type: ignore[attr-defined]
    assert not torch.equal(other(x), network(x))
    other.load_state_dict(read(tmp_path / "network.pt"))
    assert torch.equal(other(x), network(x))
