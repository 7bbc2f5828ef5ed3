"""A promoted model is the one that was trained, under a name that stays."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tasks import registry, settings
from tasks.mlflow_store import ADDRESS, Store
from tasks.paths import Paths
from tasks.registry import load, promote
from tasks.run_promoted import promote_run
from tests.tasks.conftest import NAME

ROOT = Path(__file__).parents[2]


def train(paths: Paths, seed: int) -> torch.Tensor:
    """Put a model where the trained one would be; return what it draws."""
    from ebm.learn import learner_class
    from ebm.stored import load as load_model
    from ebm.stored import save

    torch.manual_seed(seed)
    experiment = settings.read(paths.params).experiments[NAME]
    learner = learner_class(experiment.learner)(experiment.train["joint"].model)
    learner.prepare(torch.rand(9, 1, 8, 8))
    folder = paths.model(NAME, "joint")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save(folder, experiment.learner, learner, learner.networks)
    return load_model(folder).sample(2, seed=0)


@pytest.fixture
def paths(paths: Paths) -> Paths:
    """A project of one experiment, whose prepared data says the shape of images."""
    content = yaml.load(paths.params.read_text(), yaml.CSafeLoader)
    content["experiments"] = {NAME: content["experiments"][NAME]}
    paths.params.write_text(yaml.safe_dump(content, sort_keys=False))
    manifest = paths.prepared("digits") / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"raw": {"a.gz": "5a"}, "shape": [1, 8, 8]}')
    return paths


def test_promoted_models_load_by_alias_and_earlier_ones_come_back(paths: Paths) -> None:
    first = train(paths, 1)
    said = list(promote(NAME, "champion", paths))
    assert said[0] == f"{NAME} version 1 is champion"
    assert list(promote(NAME, "champion", paths))[0] == f"{NAME} version 1 is champion, as it was"
    second = train(paths, 2)
    assert not torch.equal(first, second)
    said = list(promote(NAME, "champion", paths))
    assert said[0] == f"{NAME} version 2 is champion; before it was version 1"
    shutil.rmtree(paths.model(NAME, "joint"))
    assert torch.equal(load(NAME, root=paths.root).sample(2, seed=0), second)
    said = list(promote(NAME, "champion", paths, version=1))
    assert said[0] == f"{NAME} version 1 is champion; before it was version 2"
    assert torch.equal(load(NAME, "champion", paths.root).sample(2, seed=0), first)
    with pytest.raises(ValueError, match="no alias 'champoin'; did you mean champion"):
        load(NAME, "champoin", paths.root)
    with pytest.raises(ValueError, match=f"did you mean {NAME}"):
        load(NAME[:-1], root=paths.root)
    with pytest.raises(ValueError, match="has no version 9; it has 1, 2"):
        list(promote(NAME, "champion", paths, version=9))
    shutil.rmtree(paths.root / "mlruns")
    with pytest.raises(ValueError, match="version 1 are gone .*ebm promote"):
        load(NAME, root=paths.root)
    train(paths, 1)
    assert list(promote(NAME, "champion", paths))[0].startswith(f"{NAME} version 3 is champion")
    assert torch.equal(load(NAME, root=paths.root).sample(2, seed=0), first)


def test_a_version_is_of_the_run_that_trained_it_wherever_mlflow_is_told_to_look(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, f"sqlite:///{tmp_path / 'other.db'}")
    train(paths, 1)
    store = Store(paths.root)
    run = store.open_run(f"{NAME} train-joint", {})
    store.model(run, paths.model(NAME, "joint"), (1, 8, 8))
    store.close_run(run, "FINISHED")
    record = paths.record("train", NAME, "joint")
    record.parent.mkdir(parents=True)
    record.write_text(f'{{"mlflow_run": "{run}", "verdict": "healthy"}}')
    list(promote(NAME, "best", paths))
    [version] = registry.versions(store, NAME)
    assert version.run_id == run
    assert version.tags["verdict"] == "healthy" and version.tags["ebm.part"] == "joint"
    train(paths, 2)  # another model, which that run did not train
    list(promote(NAME, "best", paths))
    assert registry.versions(store, NAME)[0].run_id != run


def flow_of(paths: Paths, store: Store, seed: int) -> tuple[str, str, torch.Tensor]:
    """Train in a flow that MLflow knows; return the runs of flow and stage, and what is drawn."""
    drawn = train(paths, seed)
    flow = store.open_run(NAME, {})
    tags = {"git.commit": f"c{seed}", "verdict": "healthy"}
    run = store.open_run(f"{NAME} train-joint", tags, flow)
    store.model(run, paths.model(NAME, "joint"), (1, 8, 8))
    store.figures(flow, [{"step": 0, f"{NAME}/fid": 41.25, "other/fid": 3.0}])
    for each in (run, flow):
        store.close_run(each, "FINISHED")
    return flow, run, drawn


def test_the_model_of_an_earlier_run_is_promoted_by_the_id_of_its_flow_or_stage(
    paths: Paths,
) -> None:
    store = Store(paths.root)
    flow, run, first = flow_of(paths, store, 1)
    later, _, _ = flow_of(paths, store, 2)  # whose model is the one in models/
    said = list(promote_run(flow[:9], "champion", paths))
    assert said[0] == f"{NAME} version 1 is champion"
    assert torch.equal(load(NAME, root=paths.root).sample(2, seed=0), first)
    [version] = registry.versions(store, NAME)
    assert version.run_id == run
    kept = {"git.commit": "c1", "verdict": "healthy", "ebm.part": "joint", "fid": "41.25"}
    assert kept.items() <= version.tags.items()
    again = list(promote_run(run, "champion", paths))[0]
    assert again == f"{NAME} version 1 is champion, as it was"
    assert list(promote(NAME, "here", paths))[0] == f"{NAME} version 2 is here"
    assert list(promote_run(f"{later}:{NAME}", "here", paths))[0].endswith("here, as it was")


def test_a_run_without_a_model_to_promote_says_what_would_be_right(paths: Paths) -> None:
    with pytest.raises(ValueError, match=r"0123abc: there is no mlflow\.db here"):
        list(promote_run("0123abc", "champion", paths))
    store = Store(paths.root)
    flow, _, _ = flow_of(paths, store, 1)
    judged = store.open_run(f"{NAME} evaluate", {}, flow)
    with pytest.raises(ValueError, match=rf"'{NAME} evaluate' of MLflow, which trained no final"):
        list(promote_run(judged, "champion", paths))
    with pytest.raises(ValueError, match=f"is a run of {NAME}; name one"):
        list(promote_run(f"{flow}:other", "champion", paths))
    with pytest.raises(ValueError, match="no run of mlflow.db begins with 0123abc; the latest"):
        list(promote_run("0123abc", "champion", paths))
    shutil.rmtree(paths.root / "mlruns")
    with pytest.raises(ValueError, match=f"is gone from .*; `ebm promote {NAME}` registers"):
        list(promote_run(flow, "champion", paths))


@pytest.mark.parametrize("alias", ["", "v2", "latest", "a b", "7", "a/b", "-a"])
def test_an_alias_that_mlflow_would_refuse_is_refused_first(paths: Paths, alias: str) -> None:
    with pytest.raises(ValueError, match="it must be a word"):
        list(promote(NAME, alias, paths))


def test_nothing_trained_or_promoted_says_what_to_do_and_makes_no_database(paths: Paths) -> None:
    with pytest.raises(ValueError, match=f"not trained yet; `ebm run {NAME}`"):
        list(promote(NAME, "champion", paths))
    with pytest.raises(ValueError, match=f"did you mean {NAME}"):
        list(promote(NAME[:-1], "champion", paths))
    with pytest.raises(ValueError, match=r"mlflow\.db is not there.*ebm promote"):
        load(NAME, root=paths.root)
    with pytest.raises(ValueError, match=r"mlflow\.db is not there"):
        list(promote(NAME, "champion", paths, version=1))
    assert not (paths.root / "mlflow.db").exists()


def test_the_module_is_imported_without_torch_or_mlflow() -> None:
    code = (
        "import sys, tasks.registry\n"
        "print(sorted({'torch', 'mlflow', 'pandas'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
