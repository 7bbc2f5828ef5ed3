"""A recurrent decoder p_beta(x | z) of sequences of symbols x, given one latent vector z.

    log p_beta(x | z) = sum_t log p_beta(x_t | x_1, ..., x_(t-1), z),   t up to the end token

One layer of LSTM, with z in its initial state and beside each input:

    h_0 = tanh(A z),  c_0 = B z
    (i, f, o, g) = W h_(t-1) + U e(x_(t-1)) + V z + b
    c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g),  h_t = sigmoid(o) tanh(c_t)
    p(x_t | ...) = softmax(D h_t + d)

Sources: the latent-space EBM of molecules, Pang, Han and Wu, arXiv 2010.09351; the cell: Hochreiter
and Schmidhuber, Neural Computation 9, 1997; its forget gate is open at first: Gers, Schmidhuber and
Cummins, Neural Computation 12, 2000.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, embedding

from ebm.networks.lstm import states, step
from ebm.samplers.noise import whole

REVISION = 1

BLANK, END = 0, 1  # nothing: before the first symbol and after the end; the end of a sequence


class SequenceDecoder(nn.Module):
    """log p(x | z) by teacher forcing, and ancestral samples of x.

    Tokens x are whole numbers, (N, L): symbols from 2 on, then END, then BLANK to fill the row. A
    blank is never predicted nor counted.

    Args:
        symbols: V, the kinds of tokens, BLANK and END among them.
        length: L, the longest sequence that is sampled, END counted.
        latent: d, values of z.
        embedding: values of e(x_t).
        hidden: units of the LSTM.

    Raises:
        ValueError: a size is too small.

    >>> decoder = SequenceDecoder(symbols=5, length=4, latent=2, embedding=3, hidden=6)
    >>> decoder.log_likelihood(torch.tensor([[2, 3, 1, 0], [4, 1, 0, 0]]), torch.zeros(2, 2)).shape
    torch.Size([2])
    """

    def __init__(self, symbols: int, length: int, latent: int, embedding: int, hidden: int) -> None:
        super().__init__()
        if symbols < 3 or min(length, latent, embedding, hidden) < 1:
            sizes = (symbols, length, latent, embedding, hidden)
            raise ValueError(
                f"symbols, length, latent, embedding and hidden are {sizes}; give 3 symbols or "
                "more, and 1 or more of each other"
            )
        self.symbols, self.length, self.latent = symbols, length, latent
        self.embedding = nn.Embedding(symbols, embedding)
        self.start = nn.Linear(latent, 2 * hidden)
        self.inward = nn.Linear(embedding, 4 * hidden)
        self.guide = nn.Linear(latent, 4 * hidden, bias=False)
        self.recurrent = nn.Linear(hidden, 4 * hidden, bias=False)
        self.outward = nn.Linear(hidden, symbols - 1)  # of all tokens but BLANK
        with torch.no_grad():
            self.inward.bias[hidden : 2 * hidden] += 1

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x | z) in nats, (N,), of tokens x: (N, L) and z: (N, d).

        Sequences are taken longest first, so that step t computes those alone that reach it.

        Raises:
            ValueError: a row is empty, has a blank before its end, or a token that there is not.
        """
        lengths = self.checked(x)
        lengths, order = lengths.sort(descending=True, stable=True)
        x, z = x[order].long(), z[order]
        reached = torch.arange(int(lengths[0]), device=x.device)[:, None] < lengths
        step, row = reached.nonzero(as_tuple=True)
        before = torch.where(step > 0, x[row, step - 1], BLANK)
        a = embedding(before, self.inward(self.embedding.weight)) + embedding(row, self.guide(z))
        h = states(a, self.recurrent.weight, *self.initial(z), reached.sum(1).tolist())
        losses = cross_entropy(self.outward(h), x[row, step] - 1, reduction="none")
        total = losses.new_zeros(len(x)).index_add(0, row, losses)
        return -torch.zeros_like(total).index_copy(0, order, total)

    forward = log_likelihood

    def initial(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return h_0 and c_0, (N, hidden) each, of z: (N, d)."""
        h, c = self.start(z).chunk(2, 1)
        return h.tanh(), c

    @torch.no_grad()
    def decode(self, z: Tensor, seeds: Sequence[int] | Tensor, temperature: float = 1.0) -> Tensor:
        """Return ancestral samples x ~ p(x | z), tokens (N, L) uint8, of z: (N, d).

        Each row's L uniform numbers come from its own seed, and choose tokens by the inverse of the
        distribution function: a row does not depend on those beside it, to rounding. One that has
        not ended after L tokens has no END.

        Args:
            temperature: T > 0; each token is drawn of p(x_t | ...)^(1/T), normed. 1 is the model.

        Raises:
            ValueError: there is not one seed a row.
        """
        if len(seeds) != len(z):
            raise ValueError(f"there are {len(seeds)} seeds for {len(z)} z; give one each")
        x = torch.zeros(len(z), self.length, dtype=torch.uint8, device=z.device)
        u = uniforms(seeds, self.length).to(z.device)
        table, guide, (h, c) = self.inward(self.embedding.weight), self.guide(z), self.initial(z)
        rows = torch.arange(len(z), device=z.device)
        token = torch.full_like(rows, BLANK)
        for t in range(self.length):
            h, c = step(table[token] + guide[rows], self.recurrent.weight, h, c)
            token = inverse(self.outward(h) / temperature, u[rows, t]) + END
            x[rows, t] = token.to(torch.uint8)
            going = token != END
            rows, token, h, c = rows[going], token[going], h[going], c[going]
            if not len(rows):
                break
        return x

    def checked(self, x: Tensor) -> Tensor:
        """Return the lengths of rows, END counted, (N,)."""
        lengths = (x != BLANK).sum(1)
        last = x.gather(1, (lengths - 1).clamp(min=0)[:, None]).squeeze(1)
        ends = (x == END).sum(1)
        wrong = (last != END) | (ends != 1) | (x.amax(1) >= self.symbols)
        if bool(wrong.any()):
            row = int(wrong.nonzero()[0])
            raise ValueError(
                f"row {row} of x is {x[row].tolist()}; it must be tokens of 2 to "
                f"{self.symbols - 1}, then {END}, then {BLANK} alone"
            )
        return lengths


def uniforms(seeds: Sequence[int] | Tensor, count: int) -> Tensor:
    """Return numbers in [0, 1), (N, count): a row of each seed."""
    streams = (torch.Generator().manual_seed(seed) for seed in whole(seeds))
    return torch.stack([torch.rand(count, generator=stream) for stream in streams])


def inverse(logits: Tensor, u: Tensor) -> Tensor:
    """Return one of K, (N,), from logits (N, K) and uniform numbers u: (N,)."""
    below = logits.softmax(1).cumsum(1)
    chosen = torch.searchsorted(below, u[:, None] * below[:, -1:], right=True).squeeze(1)
    return chosen.clamp(max=logits.shape[1] - 1)  # u times the sum may round up to the sum
