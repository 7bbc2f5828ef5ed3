"""The acceptance, by itself."""

import pytest
import torch

from ebm.samplers.metropolis import Sources, State, choose, outside, place, walk


def test_log_uniform_is_the_log_of_a_uniform_number() -> None:
    for source in ({"seeds": list(range(20000))}, {"generator": torch.Generator().manual_seed(0)}):
        given = {"seeds": None, "generator": None, **source}
        u = Sources(torch.zeros(20000, 1), 1, **given).log_uniform().exp()
        ranks = torch.arange(1, 20001) / 20000
        assert (u.sort().values - ranks).abs().max() < 1.95 / 20000**0.5, "Kolmogorov, p = .001"


def test_acceptance_does_not_follow_the_proposal_of_the_same_seed() -> None:
    sources = Sources(torch.zeros(20000, 1), 1, list(range(20000)), None)
    both = torch.stack([sources.proposals.next().flatten(), sources.uniforms.next()])
    assert torch.corrcoef(both)[0, 1].abs() < 4 / 20000**0.5


def test_chains_are_accepted_one_by_one() -> None:
    old = State(torch.zeros(3, 1, 2), torch.zeros(3), torch.zeros(3, 1, 2))
    new = State(torch.ones(3, 1, 2), torch.ones(3), torch.full((3, 1, 2), torch.nan))
    state = choose(torch.tensor([True, False, True]), new, old)
    assert torch.equal(state.x[:, 0, 0], torch.tensor([1.0, 0, 1]))
    assert torch.equal(state.value, torch.tensor([1.0, 0, 1]))
    assert torch.equal(state.gradient[1], torch.zeros(1, 2))


@pytest.mark.parametrize(("log_ratio", "share"), [(-torch.inf, 0), (torch.nan, 0), (-1.0, 0.3679)])
def test_share_accepted_is_the_ratio(log_ratio: float, share: float) -> None:
    """Of proposals one to the right each; the steps that adapt are not counted."""
    start = State(torch.zeros(2000, 1), torch.zeros(2000), torch.zeros(2000, 1))

    def right(state: State) -> tuple[State, torch.Tensor]:
        return state._replace(x=state.x + 1), torch.full((2000,), log_ratio)

    sources = Sources(start.x, 10, None, torch.Generator().manual_seed(0))
    x, walked = walk(right, start, sources, steps=10, adapt=5)
    error = 4 * (share * (1 - share) / 10000) ** 0.5
    assert walked.acceptance.mean().item() == pytest.approx(share, abs=error + 1e-6)
    assert x.mean().item() == pytest.approx(10 * share, abs=10 * error + 1e-6)


def test_outside_and_place_leave_held_values_out() -> None:
    x = torch.tensor([[0.0, 5.0], [2.0, 5.0], [-0.5, 0.5]])
    held = torch.tensor([False, True])
    assert outside(x, (-1, 1), None).tolist() == [True, True, False]
    assert outside(x, (-1, 1), held).tolist() == [False, True, False]
    assert torch.equal(place(x, (-1, 1), held)[:, 0], torch.tensor([0.0, 1.0, -0.5]))
    assert torch.equal(place(x, (-1, 1), held)[:, 1], x[:, 1])
