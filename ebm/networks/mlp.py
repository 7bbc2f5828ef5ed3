"""Fully connected networks f(x) for points."""

from collections.abc import Sequence

from torch import Tensor, nn

REVISION = 1


class MLP(nn.Module):
    """f(x) of a point, and the features under it: [linear -> SiLU] a width, then linear.

    SiLU is smooth, so that Langevin chains have a drift without jumps. Far out f grows linearly at
    most, so exp(f) with a Gaussian reference can always be normalised.

    Args:
        dim: values of a point.
        widths: units of each hidden layer.
        scale: x is multiplied by this first; a larger one learns finer structure sooner.
        outputs: numbers a point; of more than one, f_1, ..., f_C, f(x) is (N, C).

    Raises:
        ValueError: dim or a width is less than 1, or there are no widths.

    >>> import torch
    >>> MLP(dim=2, widths=[8, 4])(torch.zeros(5, 2)).shape
    torch.Size([5])
    """

    def __init__(
        self, dim: int, widths: Sequence[int], scale: float = 1.0, outputs: int = 1
    ) -> None:
        super().__init__()
        sizes = [dim, *widths]
        if not widths or min(sizes) < 1:
            raise ValueError(f"dim is {dim} and widths are {list(widths)}; give 1 or more of each")
        self.scale = scale
        layers: list[nn.Module] = []
        for inward, outward in zip(sizes, sizes[1:], strict=False):
            layers += [nn.Linear(inward, outward), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(sizes[-1], outputs)

    def features(self, x: Tensor) -> Tensor:
        """Return the activations of the last hidden layer, (N, widths[-1]), of x: (N, dim)."""
        return self.body(self.scale * x)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), (N,) or (N, outputs), of x: (N, dim)."""
        return self.head(self.features(x)).squeeze(1)

    def in_turn(self) -> list[nn.Module | float]:
        """Return the layers that `forward` is in turn; x is multiplied by a number first."""
        first = [] if self.scale == 1 else [float(self.scale)]
        last = [nn.Flatten(0)] if self.head.out_features == 1 else []
        return [*first, self.body, self.head, *last]
