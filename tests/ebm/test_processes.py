"""What one process of several does, told without the others."""

import pytest
import torch
from torch import Tensor

from ebm.checkpoint import read, write
from ebm.fit import fit
from ebm.learn.multigrid import Multigrid
from ebm.learn.multigrid_settings import Grid, MultigridSettings
from ebm.learner import FitSettings
from ebm.processes import Alone, check_division, gathered, own_seed
from ebm.run import Run
from ebm.samplers.chains import PersistentStart, make_chains
from ebm.samplers.noise import spawn

FIT = FitSettings(
    updates=4,
    batch=8,
    average=0.9,
    final_rate=0.1,
    check_every=2,
    checkpoint_every=2,
    gap_limit=20.0,
    rollbacks=0,
    slow_down=0.5,
)
GRID = Grid(
    size=2,
    width=2,
    steps=2,
    step_size=1.0,
    noise=0.05,
    start_noise=0.1,
    bounds=1.1,
    data_noise=0.05,
    rate=0.01,
    momentum=0.5,
    decay=0.05,
)
DATA = torch.rand(50, 1, 2, 2, generator=torch.Generator().manual_seed(5)) * 2 - 1


class Noting(Multigrid):
    """Keeps the batches that it is shown."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(MultigridSettings(channels=1, grids=[GRID]))
        self.batches: list[Tensor] = []

    def learn(self, batch: Tensor) -> dict[str, Tensor]:
        self.batches.append(batch)
        return super().learn(batch)


class Pair(Alone):
    """One of two processes, of which the other answers as this one does."""

    count = 2

    def __init__(self, rank: int) -> None:
        self.rank = rank

    def gather(self, state: object) -> list[object]:
        return [] if self.rank else [state, state]


class Elsewhere(Pair):
    """The other process has other parameters."""

    def mean(self, values: Tensor) -> Tensor:
        return values * 1.001


def test_processes_share_the_batch_of_one() -> None:
    alone, halves = Noting(), [Noting(), Noting()]
    fit(alone, DATA, FIT, seed=3)
    for rank, half in enumerate(halves):
        fit(half, DATA, FIT, seed=3, processes=Pair(rank))
    for batch, *parts in zip(alone.batches, *(half.batches for half in halves), strict=True):
        assert torch.equal(batch, torch.cat(parts))
    noise = [half.generator.get_state() for half in halves]
    assert not torch.equal(*noise)


def test_processes_that_come_apart_are_told_so() -> None:
    with pytest.raises(RuntimeError, match="process 1 have the norm .* have come apart"):
        fit(Noting(), DATA, FIT, seed=3, processes=Elsewhere(1))


def test_process_0_alone_writes_the_checkpoint(tmp_path) -> None:
    fit(Noting(), DATA, FIT, seed=3, checkpoint=tmp_path / "1.pt", processes=Pair(1))
    fit(Noting(), DATA, FIT, seed=3, checkpoint=tmp_path / "0.pt", processes=Pair(0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.pt", "before-0.pt"]


def test_each_process_takes_its_own_chains_from_the_checkpoint(tmp_path) -> None:
    run = Run(Noting(), DATA, FIT, 3, Pair(0))
    state = run.state_dict()
    run.processes.gather = lambda own: [own, {"generator": torch.Generator().get_state()}]
    write(tmp_path / "two.pt", gathered(run.processes, state))
    ours, theirs = Run(Noting(), DATA, FIT, 3, Pair(0)), Run(Noting(), DATA, FIT, 3, Pair(1))
    for each in (ours, theirs):
        each.resume(tmp_path / "two.pt")
    assert torch.equal(ours.learner.generator.get_state(), state["learner"]["generator"])
    assert torch.equal(theirs.learner.generator.get_state(), torch.Generator().get_state())


def test_checkpoint_of_another_number_of_processes_is_refused(tmp_path) -> None:
    path = tmp_path / "two.pt"
    fit(Noting(), DATA, FIT, seed=3, checkpoint=path, processes=Pair(0))
    with pytest.raises(ValueError, match="holds the chains of 2 processes, and there are 1"):
        fit(Noting(), DATA, FIT, seed=3, checkpoint=path)


def test_one_process_writes_what_it_always_wrote(tmp_path) -> None:
    fit(Noting(), DATA, FIT, seed=3, checkpoint=tmp_path / "one.pt")
    assert "others" not in read(tmp_path / "one.pt")


def test_chains_that_cannot_be_shared_are_refused() -> None:
    start = PersistentStart(
        start="persistent", noise="gaussian", scale=1.0, chains=9, rejuvenation=0.0
    )
    assert len(make_chains(start, (2,), torch.Generator(), 3).states) == 3
    with pytest.raises(ValueError, match="chains is 9, and 2 processes"):
        make_chains(start, (2,), torch.Generator(), 2)


@pytest.mark.parametrize(("batch", "count"), [(8, 3), (4, 4), (2, 2)])
def test_batch_that_cannot_be_shared_is_refused(batch: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"batch is {batch} and there are {count} processes"):
        check_division(batch, count)


def test_processes_have_different_seeds_and_the_first_its_own() -> None:
    seeds = [own_seed(7, rank) for rank in range(100)]
    assert seeds[0] == 7 and len(set(seeds)) == 100
    assert not {*seeds} & {*spawn([7] * 100, 0), *(spawn([7], depth)[0] for depth in range(100))}
