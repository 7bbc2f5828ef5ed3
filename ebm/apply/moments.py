"""Moment matching: what a short-run model is fitted to, instead of the likelihood.

    E_data[h(x)] = E_q[h(x)],    q the law of M(z) after K steps,    h = grad of f in its last layer

With f(x) = w . h(x) + b, h is the input of the last linear layer. At the end of learning the two
means agree with q; with p, which long chains come nearer to, they need not. The claim is exact
where w alone is learned (`learned: head`) and no decay is added: h then stands still, f is linear
in w, and the equation says that the gradient's mean is 0. h may be that of layers as they were
drawn. Where all layers are learned, other equations hold beside it, and h moves.

The data have the noise that they have in learning: without it the equation is another one.

    gap = |mean h(data) - mean h(samples)| / sqrt(trace Cov h(data))

Two sets of n and m draws from one law have a gap of about sqrt(1/n + 1/m): the floor.

Source: Nijkamp, Hill, Zhu, Wu, arXiv:1904.09770, section 3.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

REVISION = 1

BATCH = 250


def last_layer(network: nn.Module) -> nn.Linear:
    """Return the last linear layer, which makes f of h.

    Raises:
        ValueError: there is none, or it makes more than one number.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers or layers[-1].out_features != 1:
        raise ValueError(
            "the network does not end in a linear layer with one output: apply.moments needs "
            "f(x) = w . h(x) + b; leave it out"
        )
    return layers[-1]


def features(network: nn.Module, x: Tensor) -> NDArray[np.float64]:
    """Return h(x), (N, D), of x: (N, ...): the gradient of f in the last layer's weights."""
    seen: list[Tensor] = []
    hook = last_layer(network).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            for part in x.split(BATCH):
                network(part)
    finally:
        hook.remove()
        network.train(mode)
    return torch.cat(seen).double().cpu().numpy()


def gap(data: NDArray[np.float64], samples: NDArray[np.float64]) -> float:
    """Return the gap of two sets of features, (N, D) and (M, D), in the data's deviations."""
    apart = np.linalg.norm(data.mean(0) - samples.mean(0))
    return float(apart / np.sqrt(data.var(0).sum()))


def sampling_error(n: int, m: int) -> float:
    """Return the gap to expect of n and m draws from one law."""
    return float(np.sqrt(1 / n + 1 / m))
