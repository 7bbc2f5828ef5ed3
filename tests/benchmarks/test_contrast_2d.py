"""The table of learners on known densities says what metrics.json says."""

import importlib.util
from pathlib import Path

import pytest

from tasks.artefacts import write_json
from tasks.paths import Paths

FILE = Path(__file__).parents[2] / "benchmarks" / "contrast_2d.py"
SPEC = importlib.util.spec_from_file_location("contrast_2d", FILE)  # no installed package has it
assert SPEC and SPEC.loader
contrast_2d = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(contrast_2d)


def test_table_has_the_figures_of_the_experiments_and_names_those_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").write_text(
        "experiments: {contrast-2d-rings-nce: 1, contrast-2d-moons-cd: 1, other-2d: 1}\n"
    )
    paths = Paths(tmp_path)
    values = {"kl_data_model": 0.5, "kl_model_data": 0.25, "log_z_error": 0.125}
    rows = [{"metric": m, "value": v, "ceiling": 2 * v} for m, v in values.items()]
    rows.append({"metric": "energy_distance_test", "value": -0.001, "ceiling": 3.0})
    write_json(paths.results("contrast-2d-rings-nce") / "metrics.json", {"metrics": rows})
    contrast_2d.main(paths)
    page = (paths.results("benchmarks") / "contrast_2d.md").read_text()
    assert "| | rings | moons |" in page and "other" not in page
    assert "| noise contrastive estimation | 0.500 / 0.250 | - / - |" in page
    assert "| a Gaussian with the data's moments | 1.000 / 0.500 | - / - |" in page
    assert "| noise contrastive estimation | 0.125 | - |" in page
    assert "| noise contrastive estimation | -0.001 | - |" in page
    assert (paths.results("benchmarks") / "contrast_2d.png").stat().st_size > 1000
    said = capsys.readouterr().out
    assert "contrast-2d-moons-cd has no figures; run ebm run contrast-2d-moons-cd" in said
    assert "1 experiments are in" in said and "contrast-2d-rings-nce has" not in said
