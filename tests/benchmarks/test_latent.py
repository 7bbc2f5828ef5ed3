"""The models that are timed are those of the experiments, and all of them run."""

from benchmarks import latent


def test_each_model_is_timed() -> None:
    found = latent.measure(turns=1, batch=4)
    assert set(found) == {latent.PUBLISHED, latent.ENCODED, latent.AMORTISED}
    assert all(value > 0 for value in found.values())


def test_published_chains_start_at_the_prior_and_are_longer() -> None:
    models = latent.models()
    _, published = models[latent.PUBLISHED]
    _, encoded = models[latent.ENCODED]
    assert published["posterior"]["start"] == "prior"
    assert published["posterior"]["chain"]["steps"] == 20 > encoded["posterior"]["chain"]["steps"]
    assert published["decoder"] == encoded["decoder"]
