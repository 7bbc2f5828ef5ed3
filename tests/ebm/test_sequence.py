"""The decoder of sequences: its sum by hand, blanks that never count, samples by a seed each."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebm.learn.latent_prior import LatentPrior
from ebm.learn.latent_settings import LatentPriorSettings
from ebm.networks.sequence import SequenceDecoder, inverse, uniforms


def made(symbols: int = 5, length: int = 6, latent: int = 2) -> SequenceDecoder:
    torch.manual_seed(0)
    return SequenceDecoder(symbols, length, latent, embedding=3, hidden=7)


def by_hand(decoder: SequenceDecoder, tokens: list[int], z: torch.Tensor) -> float:
    """Sum log p(x_t | ...) token by token, with torch's own LSTM cell on the same weights."""
    cell = torch.nn.LSTMCell(3 + 2, 7)
    i, f, o, g = range(4)  # torch's order is i, f, g, o
    turned = [slice(7 * k, 7 * k + 7) for k in (i, f, o, g)]
    pick = torch.cat(
        [torch.arange(28)[part] for part in (turned[0], turned[1], turned[3], turned[2])]
    )
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat([decoder.inward.weight, decoder.guide.weight], 1)[pick])
        cell.weight_hh.copy_(decoder.recurrent.weight[pick])
        cell.bias_ih.copy_(decoder.inward.bias[pick])
        cell.bias_hh.zero_()
        h, c = decoder.start(z).chunk(2)
        h, total, before = h.tanh(), 0.0, 0
        for token in tokens:
            joined = torch.cat([decoder.embedding.weight[before], z])
            h, c = cell(joined[None], (h.reshape(1, -1), c.reshape(1, -1)))
            total += float(decoder.outward(h).log_softmax(1)[0, token - 1])
            before = token
    return total


def test_log_likelihood_is_the_sum_by_hand() -> None:
    decoder, z = made(), torch.randn(3, 2)
    rows = [[2, 1], [4, 3, 2, 2, 1], [3, 2, 1]]
    x = torch.tensor([row + [0] * (6 - len(row)) for row in rows])
    found = decoder.log_likelihood(x, z)
    right = [by_hand(decoder, row, each) for row, each in zip(rows, z, strict=True)]
    assert found.tolist() == pytest.approx(right, abs=1e-5)


def test_probabilities_of_all_sequences_add_up_to_one() -> None:
    decoder, z = made(symbols=4, length=3), torch.tensor([[0.7, -1.0]])
    with torch.no_grad():
        decoder.outward.bias[0] += 1  # so that few are longer than 6 symbols
        total = 0.0
        for n in range(7):
            rows = [[*each, 1] for each in itertools.product((2, 3), repeat=n)]
            found = decoder.log_likelihood(torch.tensor(rows), z.expand(len(rows), 2))
            total += float(found.exp().sum())
    assert 0.9 < total < 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 5), st.permutations(range(4)))
def test_blanks_and_the_order_of_rows_change_nothing(extra: int, order: list[int]) -> None:
    decoder, z = made(), torch.randn(4, 2)
    x = torch.tensor([[2, 1, 0, 0], [3, 3, 2, 1], [4, 1, 0, 0], [1, 0, 0, 0]])
    wide = torch.nn.functional.pad(x, (0, extra))
    found = decoder.log_likelihood(wide[order], z[order])
    assert torch.allclose(found, decoder.log_likelihood(x, z)[order], atol=1e-6)
    alone = torch.cat([decoder.log_likelihood(a[None], b[None]) for a, b in zip(x, z, strict=True)])
    assert torch.allclose(alone, decoder.log_likelihood(x, z), atol=1e-5)


def test_gradient_reaches_z_of_each_row_alone_and_every_parameter() -> None:
    decoder, z = made(), torch.randn(2, 2, requires_grad=True)
    x = torch.tensor([[2, 3, 1], [4, 1, 0]], dtype=torch.uint8)
    first = torch.autograd.grad(decoder.log_likelihood(x, z)[0], z)[0]
    assert first[0].any() and not first[1].any()
    decoder.log_likelihood(x, z).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in decoder.parameters())


@pytest.mark.parametrize("row", [[0, 0, 0], [2, 0, 1], [2, 3, 4], [2, 1, 1], [9, 1, 0], [1, 2, 0]])
def test_row_that_is_no_sequence_is_refused_by_its_place(row: list[int]) -> None:
    with pytest.raises(ValueError, match=r"row 1 of x is \[.*; it must be tokens of 2 to 4, then"):
        made().log_likelihood(torch.tensor([[2, 1, 0], row]), torch.zeros(2, 2))


def test_samples_follow_the_seed_alone_and_end_at_most_once() -> None:
    decoder, z = made(length=8), torch.randn(50, 2)
    seeds = list(range(50))
    x = decoder.decode(z, seeds)
    assert x.dtype == torch.uint8 and x.shape == (50, 8)
    assert torch.equal(x, decoder.decode(z, seeds))
    alone = torch.cat([decoder.decode(z[i : i + 1], [i]) for i in range(50)])
    assert torch.equal(x, alone)
    ended = (x == 1).any(1)
    assert ended.any() and not bool(((x == 1).sum(1) > 1).any())
    assert torch.equal((x != 0).sum(1) == 8, ~ended | (x[:, -1] == 1))


def test_samples_have_the_probabilities_that_log_likelihood_says() -> None:
    decoder = made(symbols=4, length=2)
    z = torch.tensor([[0.3, 0.1]])
    x = decoder.decode(z.expand(4000, 2), range(4000))
    for tokens in ([1, 0], [2, 1], [3, 1]):
        p = float(decoder.log_likelihood(torch.tensor([tokens]), z).exp().detach())
        share = float((x == torch.tensor(tokens)).all(1).float().mean())
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / 4000)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_cooler_samples_have_powers_of_the_probabilities(temperature: float) -> None:
    decoder, p = made(symbols=4, length=1), torch.tensor([0.2, 0.3, 0.5])
    with torch.no_grad():  # the same three probabilities after any symbol
        decoder.outward.weight.zero_()
        decoder.outward.bias.copy_(p.log())
    x = decoder.decode(torch.zeros(4000, 2), range(4000), temperature)
    powers = p ** (1 / temperature)
    for token, right in enumerate((powers / powers.sum()).tolist(), 1):
        share = float((x == token).float().mean())
        assert abs(share - right) < 4 * math.sqrt(right * (1 - right) / 4000)


def test_inverse_of_the_distribution_function() -> None:
    logits = torch.tensor([[0.25, 0.25, 0.5]]).log()
    for u, chosen in ((0.0, 0), (0.2, 0), (0.26, 1), (0.49, 1), (0.51, 2), (1.0, 2)):
        assert int(inverse(logits, torch.tensor([u]))) == chosen
    assert torch.equal(uniforms([5, 6], 3)[1:], uniforms([6], 3))


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"are \(2, 6, 2, 3, 7\); give 3 symbols or more"):
        made(symbols=2)
    with pytest.raises(ValueError, match="there are 1 seeds for 2 z; give one each"):
        made().decode(torch.zeros(2, 2), [1])


def test_latent_space_model_of_two_words_draws_each_half_the_time() -> None:
    adam = {"kind": "adam", "rate": 0.05, "momentum": 0.5}
    chain = {"steps": 1, "sample_steps": 5, "step_size": 0.5, "temperature": 1.0}
    prior = {"widths": [8], "chain": chain, "decay": 0.0, "optimiser": {**adam, "rate": 0.001}}
    sizes = {"symbols": 4, "length": 4, "embedding": 4, "hidden": 12}
    settings = LatentPriorSettings.model_validate(
        {
            **{"latent": 2, "prior": prior, "decoder": {"kind": "sequence", **sizes}},
            **{"posterior": {"start": "prior", "chain": chain}, "optimiser": adam},
        }
    )
    torch.manual_seed(0)
    learner = LatentPrior(settings)
    words = torch.tensor([[2, 3, 3, 1], [3, 2, 1, 0]], dtype=torch.uint8)
    learner.prepare(words)
    learner.generator.manual_seed(0)
    for _ in range(60):
        learner.learn(words.repeat(10, 1))
    x = learner.sample(range(400))[4][-1]
    shares = [float((x == word).all(1).float().mean()) for word in words]
    assert sum(shares) > 0.97 and abs(shares[0] - 0.5) < 0.1
    z = learner.posterior(words, seeds=[1, 2])
    assert z.shape == (2, 2) and z.dtype == torch.float32
    assert learner.features(words).isfinite().all() and learner.score(words).shape == (2,)
