"""Features of a pretrained EfficientNet-Lite0: what a network of other, labelled images knows.

    h(x) = mean over positions of the last convolution's 1,280 maps

Protocol: images are clamped to [-1, 1] and scaled to [0, 255], not rounded; grey is repeated to
three channels; images below 64x64 are enlarged to that, bilinear (corners not aligned); then
(x - 127) / 128, as the network was trained.

The weights are read as data (`weights_only`), and only if their sha256 is the one that was named.

Sample size: that of the metric which uses the features.

Source: Tan and Le, arXiv:1905.11946; the Lite variant is Google's, trained on ImageNet's labels:
1.2 million of them, which the few labels of a comparison must be seen beside.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ebm.checksum import sha256 as sha256_of

REVISION = 1

STANDARD = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INPUT = 64  # least side of the images that the network is shown


class EfficientNet:
    """EfficientNet-Lite0 without its classes; the protocol is this file's.

    Args:
        path: the file of the weights, a state_dict.
        sha256: what its sha256 must be.
        device: torch's name of the device it runs on.

    Raises:
        ValueError: the file is missing, is another one, or fits the network not.
    """

    def __init__(self, path: Path, sha256: str, device: str) -> None:
        if not path.is_file():
            raise ValueError(f"{path}, the weights of efficientnet, is missing")
        found = sha256_of(path)
        if found != sha256:
            raise ValueError(
                f"{path} has the sha256 {found}, named is {sha256}; replace the file, or name its "
                "sha256 if you trust it"
            )
        self.network = bare()
        try:
            self.network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch, pickle, zipfile and the network each have their own
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{path} does not fit EfficientNet-Lite0 ({first})") from None
        self.network.to(device)
        self.device, self.sha256 = device, sha256

    @property
    def name(self) -> str:
        """What figures made with it are named after."""
        return "efficientnet_lite0" + ("" if self.sha256 == STANDARD else f"_{self.sha256[:8]}")

    def features(self, x: Tensor) -> Tensor:
        """Return the features, (N, 1280), of x: (N, 1 or 3, H, W) in [-1, 1]."""
        shown = efficientnet_input(x.to(self.device))
        return self.network.extract_features(shown).mean((2, 3)).cpu()


def bare() -> Any:
    """Return the network with random weights, in evaluation mode.

    Raises:
        ValueError: the package that holds its code is missing.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet as Network
    except ImportError:
        raise ValueError(
            "the package efficientnet-lite-pytorch is missing; install it as requirements.lock "
            "pins it"
        ) from None
    with torch.random.fork_rng(devices=[]):  # its random weights leave no trace
        return Network.from_name("efficientnet-lite0").eval().requires_grad_(False)


def efficientnet_input(x: Tensor) -> Tensor:
    """Return what the network is shown, (N, 3, S, S), of x: (N, 1 or 3, H, W) in [-1, 1].

    Raises:
        ValueError: the images have other than 1 or 3 channels.
    """
    if x.shape[1] not in (1, 3):
        raise ValueError(f"the images have {x.shape[1]} channels; EfficientNet takes 1 or 3")
    pixels = (x.float().clamp(-1, 1) + 1) * 127.5
    if min(x.shape[2:]) < INPUT:
        sides = [max(INPUT, side) for side in x.shape[2:]]
        pixels = F.interpolate(pixels, sides, mode="bilinear", align_corners=False)
    return (pixels.expand(-1, 3, -1, -1) - 127) / 128
