"""torchvision works beside a torch of another build, and is left alone beside its own."""

import sys

import pytest
import torch


def test_grids_can_be_made() -> None:
    from tasks.vision import make_grid

    grid = make_grid(torch.zeros(4, 1, 3, 3), nrow=2, padding=1)
    assert grid.shape == (3, 9, 9)


def test_transforms_can_be_used() -> None:
    from tasks import vision

    resize = vision.torchvision.transforms.Resize(2)
    assert resize(torch.zeros(1, 4, 4)).shape == (1, 2, 2)


def test_another_error_of_the_import_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.abc

    class Broken(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *rest: object) -> None:
            if name == "torchvision":
                raise RuntimeError("something else")

    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"] + ["tasks.vision"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(RuntimeError, match="something else"):
        import tasks.vision  # noqa: F401
