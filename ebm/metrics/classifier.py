"""The named feature network: a small CNN trained on the training labels of the same data.

    conv 3x3 (16) -> [conv 3x3 stride 2, channels doubled to at most 128] down to 2x2
    -> linear (width) -> linear (classes),    SiLU between

The activations of the layer of `width` are the features of the Frechet distance, the logits serve
the inception score. Figures made with it are named after the data set and the width, as in
`frechet_digits_cnn32`, and are comparable for the same training images, settings and seed alone.

Protocol: cross-entropy on all training images and labels, Adam whose rate falls linearly to 0,
the images in an order drawn anew in each pass; no validation or test image is seen.

Sample size: enough labels that its accuracy on test images, which is reported beside every figure,
leaves no doubt that it tells the classes apart.

Source: it takes the place of Inception in arXiv:1706.08500 and arXiv:1606.03498, since a network of
other images misleads: Barratt and Sharma, arXiv:1801.01973.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REVISION = 1

FIRST, MOST = 16, 128  # channels of the first convolution, and of the widest
BATCH = 500  # images shown at once when nothing is learned


class FeatureNetwork(nn.Module):
    """Features and class logits of square images; the equation is this file's.

    Args:
        size: side of the image in pixels, a power of two, 8 or more.
        channels: 1 for grey, 3 for colour.
        classes: number of classes, 2 or more.
        width: number of features.

    Raises:
        ValueError: an argument is out of range.

    Source: see the top of this file.

    >>> FeatureNetwork(size=8, channels=1, classes=10, width=32)(torch.zeros(5, 1, 8, 8)).shape
    torch.Size([5, 10])
    """

    def __init__(self, size: int, channels: int, classes: int, width: int) -> None:
        super().__init__()
        if size < 8 or size & (size - 1):
            raise ValueError(f"the image size is {size}; it must be a power of two, 8 or more")
        if classes < 2 or width < 1:
            raise ValueError(
                f"there are {classes} classes and {width} features; "
                "there must be 2 classes and 1 feature at least"
            )
        count = FIRST
        layers: list[nn.Module] = [nn.Conv2d(channels, count, 3, padding=1), nn.SiLU()]
        while size > 2:
            size, before, count = size // 2, count, min(2 * count, MOST)
            layers += [nn.Conv2d(before, count, 3, stride=2, padding=1), nn.SiLU()]
        layers += [nn.Flatten(), nn.Linear(4 * count, width), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the features, (N, width), of x: (N, C, H, W) in [-1, 1]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, (N, classes), of x: (N, C, H, W) in [-1, 1]."""
        return self.head(self.features(x))


def train_classifier(
    x: Tensor,
    y: Tensor,
    *,
    classes: int,
    width: int,
    epochs: int,
    batch: int,
    rate: float,
    seed: int,
) -> FeatureNetwork:
    """Return the feature network, trained: the same arguments and threads give the same bits.

    Args:
        x: (N, C, H, W) in [-1, 1], training images.
        y: (N,), their labels in 0..classes - 1.
        classes: number of classes.
        width: number of features.
        epochs: passes over the images.
        batch: images in a step.
        rate: Adam's learning rate at the start.
        seed: of the first parameters and of the order of the images.

    Raises:
        ValueError: images and labels do not fit together, or are of a wrong shape or range.
    """
    check(x, y, classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FeatureNetwork(x.shape[-1], x.shape[1], classes, width)
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    steps = epochs * -(-len(x) // batch)
    fall = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=order).split(batch):
            optimiser.zero_grad(set_to_none=True)
            F.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
            fall.step()
    return network.eval().requires_grad_(False)


def check(x: Tensor, y: Tensor, classes: int) -> None:
    """Refuse images and labels that no classifier can be trained on."""
    if x.ndim != 4 or x.shape[-1] != x.shape[-2] or len(x) != len(y) or not len(x):
        raise ValueError(
            f"images have shape {tuple(x.shape)} and labels {tuple(y.shape)}; "
            "they must be (N, C, H, H) and (N,), N at least 1"
        )
    if int(y.min()) < 0 or int(y.max()) >= classes:
        raise ValueError(
            f"labels lie in {int(y.min())}..{int(y.max())}; with {classes} classes they must lie "
            f"in 0..{classes - 1}"
        )


def embed(network: FeatureNetwork, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return features (N, width) and logits (N, classes) of x: (N, C, H, W), in float64."""
    with torch.no_grad():
        features = torch.cat([network.features(part) for part in x.split(BATCH)])
        return features.double(), network.head(features).double()


def accuracy(network: FeatureNetwork, x: Tensor, y: Tensor) -> float:
    """Return the share of x: (N, C, H, W) whose label y: (N,) the network tells, in [0, 1]."""
    return float((embed(network, x)[1].argmax(1) == y).double().mean())
