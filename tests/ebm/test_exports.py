"""The samplers by name, at the top of the package."""

import subprocess
import sys

import pytest
import torch

import ebm


@pytest.mark.parametrize("name", sorted(set(ebm.__all__) - {"load"}))
def test_every_sampler_is_exported_and_can_be_called(name: str) -> None:
    assert callable(getattr(ebm, name))


def test_exported_sampler_runs() -> None:
    from ebm import langevin

    x, _ = langevin(lambda x: -x.square().sum(1), torch.zeros(3, 2), steps=1, step_size=0.1)
    assert x.shape == (3, 2)


def test_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'ebm' has no attribute 'gibbs'"):
        ebm.gibbs  # noqa: B018


def test_package_is_imported_without_torch() -> None:
    code = "import sys, ebm, ebm.samplers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
