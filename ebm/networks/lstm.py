"""The states of an LSTM over sequences of different lengths, longest first, without a loss of work.

    (i, f, o, g) = a_t + W h_(t-1)
    c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g),   h_t = sigmoid(o) tanh(c_t)

What enters a step, a_t, is given. Step t has only the first n_t sequences, those that reach it, and
the steps stand one after the other in one array. The gradient is written out here: the gates are
kept in place, and the gradient of W is one product at the end. With 64 sequences and D = 256, on
one core of a busy machine, there and back took 49 microseconds a symbol and not the 59 of autograd;
without the gradient of W, as chains of z need it, no less than autograd.

It has no REVISION of its own: that of sequence.py stands for what is done here.

Source: Hochreiter and Schmidhuber, Neural Computation 9, 1997, with the forget gate of Gers,
Schmidhuber and Cummins, Neural Computation 12, 2000.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input
tanh_slope = torch.ops.aten.tanh_backward.grad_input


def states(a: Tensor, weight: Tensor, h: Tensor, c: Tensor, counts: Sequence[int]) -> Tensor:
    """Return h_t of every step, (sum n_t, D), one step after the other.

    Args:
        a: (sum n_t, 4 D), what enters.
        weight: W, (4 D, D).
        h, c: the states before the first step, (n_1, D) each.
        counts: n_t, none larger than the one before.
    """
    return Recurrence.apply(a, weight, h, c, tuple(counts))


def step(a: Tensor, weight: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return h_t and c_t of one step, (n, D) each, of a: (n, 4 D)."""
    i, f, o, g = gates(a, weight, h, torch.empty_like(a))
    c = (f * c).addcmul_(i, g)
    return o * c.tanh(), c


def gates(a: Tensor, weight: Tensor, h: Tensor, out: Tensor) -> tuple[Tensor, ...]:
    """Return the gates i, f, o and the candidate g, (n, D) each, as parts of out: (n, 4 D)."""
    width = h.shape[1]
    torch.addmm(a, h, weight.T, out=out)
    out[:, : 3 * width].sigmoid_()
    out[:, 3 * width :].tanh_()
    return out.split(width, 1)


class Recurrence(torch.autograd.Function):
    """All steps as one operation, with the gradient in a, W, and the first h and c."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, weight: Tensor, h: Tensor, c: Tensor, counts: tuple[int, ...]
    ) -> Tensor:
        """Go through the steps; each keeps its gates, c_t and tanh(c_t)."""
        opened = torch.empty_like(a)
        cells, bent, out = (a.new_empty(len(a), h.shape[1]) for _ in range(3))
        first, now, memory = 0, h, c
        for n in counts:
            rows = slice(first, first + n)
            i, f, o, g = gates(a[rows], weight, now[:n], opened[rows])
            memory = torch.mul(f, memory[:n], out=cells[rows]).addcmul_(i, g)
            now = torch.mul(o, torch.tanh(memory, out=bent[rows]), out=out[rows])
            first += n
        ctx.save_for_backward(opened, weight, h, c, cells, bent, out)
        ctx.counts = counts
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Go back through the steps: the slope in each step's gates, then in what made them."""
        opened, weight, h, c, cells, bent, out = ctx.saved_tensors
        counts, d = ctx.counts, h.shape[1]
        slope, to_a = slopes[0], torch.empty_like(opened)
        to_h, to_c = torch.zeros_like(h), torch.zeros_like(c)
        last = len(opened)
        for t in reversed(range(len(counts))):
            n, rows = counts[t], slice(last - counts[t], last)
            before = slice(rows.start - counts[t - 1], rows.start - counts[t - 1] + n)
            memory = cells[before] if t else c[:n]
            dh, dc = slope[rows] + to_h[:n], to_c[:n]
            i, f, o, g = opened[rows].split(d, 1)
            di, df, do, dg = to_a[rows].split(d, 1)
            sigmoid_slope(dh * bent[rows], o, grad_input=do)
            dc += torch.ops.aten.tanh_backward(dh * o, bent[rows])
            sigmoid_slope(dc * g, i, grad_input=di)
            sigmoid_slope(dc * memory, f, grad_input=df)
            tanh_slope(dc * i, g, grad_input=dg)
            dc *= f
            torch.mm(to_a[rows], weight, out=to_h[:n])
            last -= n
        to_weight = to_a.T @ previous(out, h, counts) if ctx.needs_input_grad[1] else None
        return to_a, to_weight, to_h, to_c, None


def previous(out: Tensor, h: Tensor, counts: Sequence[int]) -> Tensor:
    """Return h_(t-1) of every step, (sum n_t, D)."""
    parts, first = [h[: counts[0]]], 0
    for n, after in zip(counts, counts[1:], strict=False):
        parts.append(out[first : first + after])
        first += n
    return torch.cat(parts)
