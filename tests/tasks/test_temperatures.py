import pytest
import yaml

from tasks.settings import read
from tasks.temperatures import temperatures
from tests.conftest import ROOT


def test_temperature_is_implied_by_noise_and_step_size_or_given() -> None:
    params = read(ROOT / "params.yaml")
    told = yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]
    short = params.experiments["shortrun-mnist"].train["learn"].model
    chain = told["shortrun-mnist"]["train"]["learn"]["model"]["chain"]
    right = chain["noise"] ** 2 / chain["step_size"]
    assert temperatures(short) == {"chain": pytest.approx(right, rel=0.01)}
    faces = params.experiments["convnet-faces"].train["learn"].model
    assert temperatures(faces) == {"chain": 1.0}
    joint = params.experiments["multigrid-digits-joint"].train["joint"].model
    assert temperatures(joint) == {f"grid {size}": 0.0001 for size in (2, 4, 8)}
