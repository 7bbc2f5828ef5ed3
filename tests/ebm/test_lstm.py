"""The states of an LSTM, and the gradient that is written out, against torch's own."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebm.networks.lstm import Recurrence, states, step

D = 3


def drawn(counts: list[int]) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    shapes = (sum(counts), 4 * D), (4 * D, D), (counts[0], D), (counts[0], D)
    return tuple(torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes)


COUNTS = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(lambda c: sorted(c, reverse=True))


@settings(max_examples=20, deadline=None)
@given(COUNTS)
def test_states_are_those_of_torchs_cell(counts: list[int]) -> None:
    a, weight, h, c = (each.detach() for each in drawn(counts))
    found = states(a, weight, h, c, counts)
    cell = torch.nn.LSTMCell(4 * D, D, dtype=torch.double)
    turned = torch.cat([torch.arange(4 * D).split(D)[k] for k in (0, 1, 3, 2)])  # torch: i, f, g, o
    with torch.no_grad():
        cell.weight_ih.copy_(torch.eye(4 * D)[turned])
        cell.weight_hh.copy_(weight[turned])
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
        right = []
        for part in a.split(counts):
            h, c = cell(part, (h[: len(part)], c[: len(part)]))
            right.append(h)
    assert torch.allclose(found, torch.cat(right), atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(COUNTS)
def test_gradient_that_is_written_out_is_that_of_small_differences(counts: list[int]) -> None:
    assert torch.autograd.gradcheck(
        lambda *given: Recurrence.apply(*given, tuple(counts)), drawn(counts)
    )


def test_one_step_is_the_first_of_the_states() -> None:
    a, weight, h, c = drawn([2, 1])
    with torch.no_grad():
        found = step(a[:2], weight, h, c)[0]
    assert torch.equal(found, states(a, weight, h, c, [2, 1])[:2])
