"""A trained model's folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ebm.learn.multigrid import Multigrid
from ebm.learn.multigrid_settings import Grid, MultigridSettings
from ebm.stored import load, save

GRID = {
    "width": 3,
    "steps": 2,
    "step_size": 1.0,
    "noise": 0.05,
    "start_noise": 0.1,
    "bounds": 1.1,
    "data_noise": 0.05,
    "rate": 0.01,
    "momentum": 0.5,
    "decay": 0.05,
}


def learner(size: int, below: Multigrid | None = None) -> Multigrid:
    made = Multigrid(MultigridSettings(channels=1, grids=[Grid(size=size, **GRID)]), below)
    made.prepare(torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(1)))
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    upper = learner(4, learner(2))
    save(tmp_path, "multigrid", upper, upper.networks)
    return tmp_path


def test_loaded_model_draws_the_same_samples(tmp_path: Path) -> None:
    torch.manual_seed(0)
    upper = learner(4, learner(2))
    save(tmp_path, "multigrid", upper, upper.networks)
    model = load(tmp_path)
    assert torch.equal(model.learner.sample(range(5))[4][-1], upper.sample(range(5))[4][-1])
    x = torch.zeros(3, 1, 4, 4)
    assert torch.equal(model.score(x), upper.score(x))
    assert torch.equal(model.features(x), upper.features(x))


def test_networks_that_are_saved_are_those_given(tmp_path: Path) -> None:
    upper, other = learner(4, learner(2)), learner(4)
    del other.networks["1"]
    save(tmp_path, "multigrid", upper, other.networks)
    loaded = load(tmp_path).learner.networks["4"].head.weight
    assert torch.equal(loaded, other.networks["4"].head.weight)


def test_image_depends_on_its_seed_and_number_alone(folder: Path) -> None:
    model = load(folder)
    images = model.sample(7, seed=3, batch=4)
    assert images.shape == (7, 1, 4, 4) and images.abs().max() <= 1
    assert torch.allclose(model.sample(5, seed=3, batch=2), images[:5], atol=1e-5)
    assert not torch.allclose(model.sample(7, seed=4), images, atol=1e-2)


def test_number_of_samples_and_seed_are_checked(folder: Path) -> None:
    model = load(folder)
    for wrong in ({"count": 0}, {"count": 2.5}, {"count": 2, "seed": -1}):
        with pytest.raises(ValueError, match="must be a whole number"):
            model.sample(**wrong)  # type: ignore[arg-type]


# Inpainting


def left_seen() -> torch.Tensor:
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[:, :2] = True
    return mask


def test_what_is_visible_is_kept_and_what_is_hidden_is_not_looked_at(folder: Path) -> None:
    model, mask = load(folder), left_seen()
    images = torch.rand(3, 1, 4, 4) * 2 - 1
    fills = model.inpaint(images, mask, completions=2, seed=5)
    assert fills.shape == (2, 3, 1, 4, 4) and fills.abs().max() <= 1
    assert torch.equal(fills[..., :2], images[None, ..., :2].expand(2, -1, -1, -1, -1))
    assert not torch.isclose(fills[0, ..., 2:], fills[1, ..., 2:]).any()
    unknown = torch.where(mask, images, torch.nan)
    assert torch.equal(model.inpaint(unknown, mask, completions=2, seed=5), fills)


def test_completions_are_those_of_the_apply_stage(folder: Path) -> None:
    from ebm.apply.inpaint import complete

    model = load(folder)
    images, mask = torch.rand(3, 1, 4, 4), left_seen().expand(3, 1, 4, 4)
    right = complete(model.learner, images.numpy(), mask.numpy(), times=4, seed=2)
    for batch in (5, 250):
        fills = model.inpaint(images, mask, completions=4, seed=2, batch=batch)
        assert torch.allclose(fills, torch.from_numpy(right), atol=1e-5)


def test_one_image_may_come_without_a_batch_and_as_an_array(folder: Path) -> None:
    model, image = load(folder), torch.rand(1, 4, 4)
    right = model.inpaint(image[None], left_seen(), completions=3)[:, 0]
    assert right.shape == (3, 1, 4, 4)
    for mask in (left_seen(), left_seen()[None], left_seen()[None, None]):
        assert torch.equal(model.inpaint(image, mask, completions=3), right)
        assert torch.equal(model.inpaint(image.numpy(), mask.numpy(), completions=3), right)


def test_mask_that_hides_everything_gives_plain_samples(folder: Path) -> None:
    model = load(folder)
    fills = model.inpaint(torch.zeros(1, 4, 4), torch.zeros(4, 4, dtype=torch.bool), 5, seed=3)
    assert torch.equal(fills, model.sample(5, seed=3))


def test_pace_changes_what_is_filled_and_must_be_a_share(folder: Path) -> None:
    model, image = load(folder), torch.rand(1, 4, 4)
    whole, slow = (model.inpaint(image, left_seen(), pace=pace) for pace in (1.0, 0.25))
    assert not torch.equal(whole, slow)
    for pace in (0.0, 1.5):
        with pytest.raises(ValueError, match=f"pace is {pace}; it must be above 0 and at most 1"):
            model.inpaint(image, left_seen(), pace=pace)


SEEN = torch.ones(4, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    ("image", "mask", "words"),
    [
        (torch.zeros(1, 4, 4), left_seen().float(), "the mask is float32; it must be boolean"),
        (torch.zeros(1, 4, 4), SEEN, "hides no pixel"),
        (torch.zeros(1, 4, 4), SEEN[:3], "the mask is 3x4; it must be 4x4 or 1x4x4"),
        (torch.zeros(3, 1, 4, 4), SEEN.expand(2, 1, 4, 4), "the mask is 2x1x4x4.*or 3x1x4x4"),
        (torch.zeros(3, 4, 4), left_seen(), "the images are 3x4x4; this model's are 1x4x4"),
        (torch.zeros(1, 4, 5), left_seen(), "the images are 1x4x5; this model's are 1x4x4"),
        (torch.zeros(4, 4), left_seen(), "the images are 4x4; this model's are 1x4x4"),
        (torch.zeros(0, 1, 4, 4), left_seen(), "the images are 0x1x4x4: there is none"),
        (torch.zeros(1, 4, 4).byte(), left_seen(), "the images are uint8; they must be floats"),
        (torch.full((1, 4, 4), 255.0), left_seen(), r"from 255 to 255; they must be in \[-1, 1\]"),
        (torch.full((1, 4, 4), torch.nan), left_seen(), "values that are no numbers"),
        ("image.png", left_seen(), "a str was given"),
        ([[0.0], [0.0, 1.0]], left_seen(), "a list was given; give a tensor or an array"),
    ],
)
def test_wrong_images_and_masks_are_named_with_what_would_be_right(
    folder: Path, image: Any, mask: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        load(folder).inpaint(image, mask)
    assert "\n" not in str(caught.value)


def test_learner_that_holds_no_pixels_says_so(folder: Path, monkeypatch: Any) -> None:
    model = load(folder)
    monkeypatch.setattr("ebm.model.inpaints", lambda _: False)
    with pytest.raises(ValueError, match="the learner multigrid cannot inpaint"):
        model.inpaint(torch.zeros(1, 4, 4), left_seen())


# Scores


def test_scores_are_f_in_batches_without_a_graph(folder: Path) -> None:
    model = load(folder)
    images = torch.rand(11, 1, 4, 4, generator=torch.Generator().manual_seed(2)) * 2 - 1
    seen: list[int] = []
    model.learner.finest.register_forward_hook(lambda _, x, __: seen.append(len(x[0])))
    scores = model.score(images, batch=4)
    assert seen == [4, 4, 3] and scores.shape == (11,) and not scores.requires_grad
    assert torch.allclose(scores, model.learner.score(images), atol=1e-6)
    assert torch.allclose(model.score(images.double().numpy()), scores, atol=1e-6)
    one = model.score(images[3])  # a batch of another size differs by rounding on some processors
    assert one.shape == () and torch.allclose(one, scores[3], atol=1e-6)


def test_wrong_images_have_no_score(folder: Path) -> None:
    for wrong in (torch.zeros(4, 4), torch.zeros(2, 3, 4, 4), torch.full((1, 4, 4), 7.0)):
        with pytest.raises(ValueError, match="the images"):
            load(folder).score(wrong)


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no model.json"):
        load(tmp_path)


def change(folder: Path, **changes: Any) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": 99}, r"model\.json is of format 99"),
        ({"learner": "multigird"}, "did you mean multigrid"),
        ({"stages": []}, r"model\.json names no stage"),
        ({"stages": [{"channels": 1}]}, r"model\.json: grids"),
    ],
)
def test_foreign_description_is_refused(folder: Path, changes: dict[str, Any], named: str) -> None:
    change(folder, **changes)
    with pytest.raises(ValueError, match=named):
        load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}'])
def test_damaged_description_is_refused_by_name(folder: Path, text: str) -> None:
    (folder / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.json"):
        load(folder)


def test_truncated_weights_are_refused_by_name(folder: Path) -> None:
    content = (folder / "model.pt").read_bytes()
    (folder / "model.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"model\.pt is damaged; run its training stage again"):
        load(folder)


def test_weights_of_other_settings_are_refused(folder: Path) -> None:
    stages = json.loads((folder / "model.json").read_text())["stages"]
    stages[0]["grids"][0]["width"] = 5
    change(folder, stages=stages)
    says = (
        r"model\.pt does not fit model\.json, so they are of two models: 2\.\S+ of stage 0 is "
        r"3\S* there, and by model\.json 5"
    )
    with pytest.raises(ValueError, match=says) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_another_model_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    alone = learner(2)
    save(other, "multigrid", alone, alone.networks)
    few, many = ((each / "model.pt").read_bytes() for each in (other, folder))
    (folder / "model.pt").write_bytes(few)
    with pytest.raises(ValueError, match="two models: it has no weights for stage 1, counted fro"):
        load(folder)
    (other / "model.pt").write_bytes(many)
    with pytest.raises(ValueError, match="it has weights for stage 1, .* model.json names 1 stage"):
        load(other)
    alone = learner(4)
    save(other, "multigrid", alone, alone.networks)
    (other / "model.pt").write_bytes(few)
    with pytest.raises(ValueError, match=r"two models: 4\.\S+ of stage 0 is none there"):
        load(other)


def test_items_that_are_no_images_are_drawn_as_they_are(tmp_path: Path) -> None:
    """Points lie anywhere, and are not cut off at 1."""
    from ebm.learn import learner_class

    kind = learner_class("maximum_likelihood")
    network = {"kind": "mlp", "dim": 2, "widths": [4], "scale": 1.0}
    start = {"noise": "gaussian", "scale": 3.0}
    points = kind(
        kind.Settings.model_validate(
            {
                **{"network": network, "reference": None, "sample_from": start},
                **{"start": {"start": "noise", **start}, "data_noise": 0.0, "decay": 0.0},
                "chain": {"steps": 1, "sample_steps": 1, "step_size": 0.01, "noise": 0.0},
                "optimiser": {"kind": "adam", "rate": 0.01, "momentum": 0.5},
            }
        )
    )
    save(tmp_path, "maximum_likelihood", points, points.networks)
    x = load(tmp_path).sample(50)
    assert x.shape == (50, 2) and x.abs().max() > 3
