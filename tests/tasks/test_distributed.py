"""Two processes that learn together, joined by gloo, against one that learns alone."""

import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
import yaml

from tasks.__main__ import main
from tasks.refusals import SettingsError
from tasks.settings import read, validate
from tests.flows.reader import commands

HERE = Path(__file__).parent
SCRIPT = HERE / "two_processes.py"
TRAIN = [sys.executable, "-m", "tasks", "train", "tiny", "joint"]
PATIENCE = 240  # seconds; a machine may be busy

two_processes = SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the script found in each of two processes."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, str(SCRIPT), str(folder)]
    code = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        command, env=code, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return torch.load(folder / "found.pt", weights_only=True)


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_two_processes_have_the_gradients_of_one_with_the_same_batch(found):
    alone = two_processes.gradients()
    assert {key.split(".")[0] for key in alone} == set(two_processes.learners())
    for of_rank in found["gradients"]:
        assert of_rank.keys() == alone.keys()
        for key, gradient in alone.items():
            assert gradient.abs().max() > 1e-4, f"{key} has no gradient to compare"
            assert torch.allclose(of_rank[key], gradient, rtol=0, atol=1e-6), key


def test_parameters_stay_the_same_in_both_processes_and_chains_do_not(found):
    one, other = found["whole"]
    assert equal(one["learner"]["networks"], other["learner"]["networks"])
    assert equal(one["average"], other["average"])
    assert one["curves"] == other["curves"]
    chains = [each["learner"]["chains"]["states"] for each in (one, other)]
    assert chains[0].shape == (8, 2), "16 chains are not shared by two processes"
    assert torch.cdist(*chains).min() > 1e-4
    assert not torch.equal(one["learner"]["generator"], other["learner"]["generator"])


def test_two_processes_cut_off_and_resumed_equal_those_left_alone(found):
    for whole, resumed in zip(found["whole"], found["resumed"], strict=True):
        for state in ("networks", "chains"):
            assert equal(whole["learner"][state], resumed["learner"][state])
        assert torch.equal(whole["learner"]["generator"], resumed["learner"]["generator"])
        assert equal(whole["average"], resumed["average"])
        assert whole["curves"] == resumed["curves"]


@pytest.fixture
def at(project, monkeypatch):
    """The tiny project as the working folder, its data prepared, two processes asked for."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1]))
    (project / "a 100% odd name").mkdir()
    monkeypatch.setenv("TMPDIR", str(project / "a 100% odd name"))  # where the processes meet
    monkeypatch.setattr("tasks.__main__.die_with_parent", lambda asker: None)
    params = yaml.safe_load((project / "params.yaml").read_text())
    stage = params["experiments"]["tiny"]["train"]["joint"]
    stage["processes"] = 2
    stage["fit"].update(updates=30, check_every=5, checkpoint_every=5)
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    assert main(["prepare", "digits"]) == 0
    return project


def workers(stage):
    """The processes that a stage started to learn together, by rank."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == stage and "spawn_main" in command:
            found.append(int(folder.name))
    return sorted(found)


def train():
    return subprocess.run(TRAIN, capture_output=True, text=True, timeout=PATIENCE, check=False)


def training(at):
    """Start to train, and return the stage, once there is a checkpoint, and its processes."""
    stage = subprocess.Popen(TRAIN, stderr=subprocess.PIPE, text=True)
    scratch, end = at / ".work" / "scratch" / "tiny", time.monotonic() + PATIENCE
    while not list(scratch.rglob("checkpoint.pt")):
        assert stage.poll() is None and time.monotonic() < end, stage.stderr.read()
        time.sleep(0.01)
    return stage, workers(stage.pid)


def killed(at):
    """Train, kill the second process once there is a checkpoint; return how the stage ended.

    Also the processes that learned, and where they and the stage listened.
    """
    stage, pair = training(at)
    every = [link for pid in (stage.pid, *pair) for link in psutil.Process(pid).net_connections()]
    listened = {link.laddr.ip for link in every if link.status == psutil.CONN_LISTEN}
    os.kill(pair[1], signal.SIGKILL)
    told = stage.communicate(timeout=PATIENCE)[1]
    return stage.returncode, told, pair, listened


@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_killed_process_ends_the_others_and_a_rerun_gives_the_bits_of_a_whole_run(at):
    assert (done := train()).returncode == 0, done.stderr
    assert not done.stderr
    whole = (at / "models/tiny/joint/model.pt").read_bytes()
    record = json.loads(next((at / ".work" / "runs").rglob("train-joint.json")).read_text())
    assert (record["processes"], record["hosts"], record["backend"]) == (2, 1, "gloo")
    assert record["settings"]["train"]["processes"] == 2 and record["verdict"] == "healthy"
    status, told, pair, listened = killed(at)
    assert status == 1
    assert listened <= {"127.0.0.1", "::1"}, "others can reach a port that is open in training"
    assert told.startswith("train tiny joint: process 1 of 2 was ended by SIGKILL")
    assert len(told.splitlines()) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in pair)
    assert train().returncode == 0
    figures = next((at / ".work" / "figures").rglob("train-joint.jsonl")).read_text()
    assert json.loads(figures.splitlines()[0])["step"] > 5, "it did not go on from its checkpoint"
    assert (at / "models/tiny/joint/model.pt").read_bytes() == whole


def test_a_stage_that_is_told_alone_to_stop_ends_its_processes(at):
    stage, pair = training(at)
    stage.send_signal(signal.SIGINT)
    stage.communicate(timeout=30)  # a second or two where nothing else runs
    assert not any(Path(f"/proc/{pid}").exists() for pid in pair)


@pytest.mark.timeout(900)
def test_the_page_s_command_on_two_hosts_gives_the_bits_of_the_stage_s_own_processes(at):
    assert (done := train()).returncode == 0, done.stderr
    model = at / "models/tiny/joint/model.pt"
    whole = model.read_bytes()
    shutil.rmtree(at / "models")
    shutil.rmtree(at / ".work")
    (command,) = [line for line in commands("docs/scale.md") if line.startswith("torchrun")]
    words = command.replace("NAME PART", "tiny joint").replace("HOST:29500", f"127.0.0.1:{port()}")
    words = words.replace("--nproc-per-node 4", "--nproc-per-node 1")
    start = [sys.executable, "-m", "torch.distributed.run", *words.split()[1:]]
    hosts = [subprocess.Popen(start, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        told = [host.communicate(timeout=PATIENCE)[1] for host in hosts]
    finally:
        for host in hosts:
            host.terminate()  # an agent takes its workers with it
            host.wait(60)
    assert [host.returncode for host in hosts] == [0, 0], told
    record = json.loads(next((at / ".work" / "runs").rglob("train-joint.json")).read_text())
    assert (record["processes"], record["hosts"]) == (2, 2)
    assert model.read_bytes() == whole


def port():
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_batch_that_the_processes_cannot_share_is_refused(at):
    params = yaml.safe_load((at / "params.yaml").read_text())
    params["experiments"]["tiny"]["train"]["joint"]["processes"] = 3
    with pytest.raises(SettingsError, match="batch is 8 and there are 3 processes; give a multi"):
        validate(params)


def test_one_process_is_the_default_and_is_not_written_down(at):
    params = yaml.safe_load((at / "params.yaml").read_text())
    params["experiments"]["tiny"]["train"]["joint"].pop("processes")
    stage = validate(params).experiments["tiny"].train["joint"]
    assert stage.processes == 1 and "processes" not in stage.model_dump()
    stage = read(at / "params.yaml").experiments["tiny"].train["joint"]
    assert stage.model_dump()["processes"] == 2


def test_processes_without_lightning_are_refused_in_one_sentence(at, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.delitem(sys.modules, "tasks.distributed", raising=False)
    assert main(["train", "tiny", "joint"]) == 1
    assert "joint.processes is 2, which needs the package lightning-f" in capsys.readouterr().err


def test_torchrun_with_another_number_of_processes_is_refused(at, monkeypatch, capsys):
    given = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "tiny", "joint"]) == 1
    assert "processes is 2 and torchrun started 3" in capsys.readouterr().err


def test_more_processes_than_gpus_are_refused(monkeypatch):
    from tasks.distributed import check_gpus

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_gpus(4, "cpu")
    check_gpus(1, "cuda")
    with pytest.raises(ValueError, match="2 processes .* has 1 GPUs"):
        check_gpus(2, "cuda")
