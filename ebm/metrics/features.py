"""Named feature networks: each turns images in [-1, 1] into rows of features.

cnn        the classifier of classifier.py, trained on the labels of the same data
pixels     the pixels themselves, averaged to 8x8: needs neither labels nor weights
inception  Inception of 2015-12-05, 2,048 features of its last pooling: the network of FID and KID

Protocol of inception: images are clamped to [-1, 1] and scaled to [0, 255], not rounded; grey is
repeated to three channels; bilinear to 299x299 (corners not aligned, no antialiasing); x / 128 - 1.

Its weights are a TorchScript file, which is code: it is loaded only if its sha256 is the one that
was named. Features of the standard file (STANDARD) are called `inception`, those of any other file
`inception_` and the first eight digits of its sha256.

Sample size: that of the metric which uses the features.

Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, arXiv:1512.00567; its use in FID: Heusel et al.,
arXiv:1706.08500; how resizing changes it: Parmar, Zhang, Zhu, arXiv:2104.11222.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

REVISION = 1

STANDARD = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
SIDE = 8  # of the averaged pixels
INPUT = 299  # side of Inception's images


class Features(Protocol):
    """What every feature network can do."""

    def features(self, x: Tensor) -> Tensor:
        """Return the features, (N, D), of x: (N, C, H, W) in [-1, 1]."""


class Pixels:
    """Pixels averaged to at most 8x8."""

    def features(self, x: Tensor) -> Tensor:
        """Return the features, (N, C 64), of x: (N, C, H, W) in [-1, 1]."""
        return F.adaptive_avg_pool2d(x, min(SIDE, x.shape[-1])).flatten(1)


class Inception:
    """The network of FID, from a TorchScript file; the protocol is this file's.

    Args:
        path: the file.
        sha256: what its sha256 must be.
        device: torch's name of the device it runs on.

    Raises:
        ValueError: the file is missing, is another one, is no TorchScript, or that of a network
            which does not see such images.
    """

    def __init__(self, path: Path, sha256: str, device: str) -> None:
        if not path.is_file():
            raise ValueError(f"{path}, the weights of inception, is missing")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise ValueError(
                f"{path} has the sha256 {found}, named is {sha256}; replace the file, or name its "
                "sha256 if you trust it: a TorchScript file is code"
            )
        try:
            self.network = torch.jit.load(str(path), map_location=device).eval()
        except RuntimeError as error:
            first = str(error).strip().splitlines()[0]
            raise ValueError(f"{path} is no TorchScript file ({first})") from None
        self.try_out(path, device)
        self.device, self.sha256 = device, sha256

    def try_out(self, path: Path, device: str) -> None:
        """Refuse a network that gives no features of an image, before it is shown many."""
        try:
            with torch.inference_mode():
                seen = self.network(torch.zeros(1, 3, INPUT, INPUT, device=device))
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ValueError(
                f"{path} is the network of other images than 3x{INPUT}x{INPUT} ({last})"
            ) from None
        if not isinstance(seen, Tensor):
            found = f"a {type(seen).__name__}"
        elif seen.ndim < 2 or len(seen) != 1 or not seen.is_floating_point():
            found = f"{seen.dtype} of shape {tuple(seen.shape)}"
        else:
            return
        raise ValueError(f"{path} makes {found} of one image; it must make floats (1, D)")

    @property
    def name(self) -> str:
        """What figures made with it are named after."""
        return network_name(self.sha256)

    def features(self, x: Tensor) -> Tensor:
        """Return the features, (N, 2048), of x: (N, 1 or 3, H, W) in [-1, 1]."""
        return self.network(inception_input(x.to(self.device))).flatten(1).cpu()


def network_name(sha256: str) -> str:
    """Return the name of an Inception file's features: `inception` of the standard one alone."""
    return "inception" if sha256 == STANDARD else f"inception_{sha256[:8]}"


def inception_input(x: Tensor) -> Tensor:
    """Return what Inception is shown, (N, 3, 299, 299), of x: (N, 1 or 3, H, W) in [-1, 1].

    Raises:
        ValueError: the images have other than 1 or 3 channels.
    """
    if x.shape[1] not in (1, 3):
        raise ValueError(f"the images have {x.shape[1]} channels; Inception takes 1 or 3")
    pixels = (x.float().clamp(-1, 1) + 1) * 127.5
    large = F.interpolate(pixels, (INPUT, INPUT), mode="bilinear", align_corners=False)
    return large.expand(-1, 3, -1, -1) / 128 - 1


def extract(
    network: Features,
    images: NDArray[np.float32],
    batch: int,
    told: Callable[[int], None] = lambda done: None,
) -> NDArray[np.float64]:
    """Return the features, (N, D), of images (N, C, H, W) in [-1, 1].

    Args:
        network: any feature network.
        images: what it is shown.
        batch: images at once.
        told: called with the number of images done, after each batch.

    Raises:
        ValueError: there is no image.
    """
    if not len(images):
        raise ValueError("there are no images to take features of")
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), batch):
            part = torch.from_numpy(np.ascontiguousarray(images[first : first + batch]))
            found.append(network.features(part).double().numpy())
            told(min(len(images), first + batch))
    return np.concatenate(found)
