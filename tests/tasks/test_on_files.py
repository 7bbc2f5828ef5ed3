"""A trained model on files: pictures out, pictures in, and what is said of files that are none."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ebm.datasets.picture import read_picture
from ebm.learn.multigrid import Multigrid
from ebm.model import Model
from ebm.stored import load, save
from tasks.on_files import ALONE, File, draw, inpaint, interpolate, reconstruct, score, translate
from tasks.pictures import cut
from tests.tasks.test_apply_translate import translator

GRID = {"width": 3, "steps": 2, "step_size": 1.0, "noise": 0.05, "start_noise": 0.1}
REST = {"bounds": 1.0, "data_noise": 0.0, "rate": 0.01, "momentum": 0.5, "decay": 0.05}


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Model:
    torch.manual_seed(0)
    grids = [{"size": size, **GRID, **REST} for size in (2, 4)]
    settings = Multigrid.Settings.model_validate({"channels": request.param, "grids": grids})
    learner = Multigrid(settings)
    learner.prepare(torch.rand(9, request.param, 4, 4))
    folder = tmp_path / "model"
    folder.mkdir()
    save(folder, "multigrid", learner, learner.networks)
    return load(folder)


def saved(path: Path, pixels: np.ndarray) -> File:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return File(path.name, path)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape)


def holes(path: Path, shape: tuple[int, int], columns: slice) -> File:
    mask = np.zeros(shape)
    mask[:, columns] = 255
    return saved(path, mask)


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


def test_each_sample_read_back_is_the_sample(model: Model, tmp_path: Path) -> None:
    targets = [tmp_path / "new" / f"{i}.png" for i in range(3)]
    draw(model, 3, 7, targets)
    right = model.sample(3, seed=7).numpy()
    for image, path in zip(right, targets, strict=True):
        assert 0.75 * ALONE <= pixels_of(path).shape[0] <= ALONE
        assert np.abs(read_picture(path, 4, model.channels)[0] - image).max() <= 1 / 255 + 1e-6
    assert sorted(targets) == sorted((tmp_path / "new").iterdir())


def test_sheet_is_about_as_wide_as_high(model: Model, tmp_path: Path) -> None:
    draw(model, 9, 0, [tmp_path / "sheet.png"])
    height, width, _ = pixels_of(tmp_path / "sheet.png").shape
    assert height == width > 300


def test_inpainting_writes_picture_hole_completions_and_their_difference(
    model: Model, tmp_path: Path
) -> None:
    image = saved(tmp_path / "a.png", noise(4, 4, 3))
    mask = holes(tmp_path / "mask.png", (4, 4), slice(2, 4))
    notes = inpaint(model, image, mask, 3, 0, tmp_path / "row.png", pace=1.0)
    assert len(notes) == 1 and "3 completions; where they differ" in notes[0]
    pixels = pixels_of(tmp_path / "row.png")
    cell = (pixels.shape[1] - 2) // 6
    tiles = [pixels[2:cell, 2 + i * cell : (i + 1) * cell] for i in range(6)]
    seen = [tile[:, : tile.shape[1] // 2] for tile in tiles]
    assert all((half == seen[0]).all() for half in seen[:5]) and (seen[5] == 0).all()
    assert len(np.unique(tiles[1][:, -cell // 3 :].reshape(-1, 3), axis=0)) == 1
    assert (tiles[2] != tiles[3]).any() and tiles[5].any()


def test_one_completion_has_no_difference(model: Model, tmp_path: Path) -> None:
    image = saved(tmp_path / "a.png", noise(4, 4))
    mask = holes(tmp_path / "mask.png", (4, 4), slice(2, 4))
    notes = inpaint(model, image, mask, 1, 0, tmp_path / "row.png", pace=1.0)
    assert "differ" not in notes[0]
    height, width, _ = pixels_of(tmp_path / "row.png").shape
    assert width - 2 == 3 * (height - 2)


def test_what_the_model_sees_of_a_picture_of_another_size_is_said(
    model: Model, tmp_path: Path
) -> None:
    image = saved(tmp_path / "photo.png", noise(30, 40, 3))
    mask = holes(tmp_path / "mask.png", (30, 40), slice(0, 40))
    notes = inpaint(model, image, mask, 1, 0, tmp_path / "row.png", pace=1.0)
    assert notes[0].startswith("photo.png is 40x30; the model sees its centre square at 4x4, in ")
    assert "plain samples" in notes[1]


def test_wrong_masks_and_pictures_are_named_and_nothing_is_written(
    model: Model, tmp_path: Path
) -> None:
    image = saved(tmp_path / "a.png", noise(30, 40, 3))
    (tmp_path / "letter.png").write_text("Dear Sir or Madam,")
    letter = File("letter.png", tmp_path / "letter.png")
    good = holes(tmp_path / "good.png", (30, 40), slice(15, 20))
    says = {
        "turned.png is 30x40 and a.png 40x30; the mask must be 40x30 too": (
            image,
            holes(tmp_path / "turned.png", (40, 30), slice(0, 5)),
        ),
        "aside.png is black all over the centre square": (
            image,
            holes(tmp_path / "aside.png", (30, 40), slice(0, 4)),
        ),
        "letter.png: it is no picture of a known format": (image, letter),
        "letter.png: it is no picture": (letter, good),
        "none.png: it cannot be opened": (image, File("none.png", tmp_path / "none.png")),
    }
    for words, (picture, mask) in says.items():
        with pytest.raises(ValueError, match=words):
            inpaint(model, picture, mask, 2, 0, tmp_path / "row.png", pace=1.0)
    assert not list(tmp_path.glob("*row*"))


def test_files_are_ranked_by_f_and_the_rest_is_named(model: Model, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    for number in range(5):
        saved(folder / "old" / f"{number}.png", np.random.default_rng(number).random((4, 4)) * 255)
    alone = saved(tmp_path / "alone.png", noise(9, 12, 3))
    (folder / "letter.jpg").write_text("Dear Sir or Madam,")
    (folder / ".hidden.png").write_text("no picture")
    (folder / "empty.png").mkdir()
    found = score(
        model, [File("in/", folder), alone, alone, File("none.png", tmp_path / "none.png")]
    )
    assert [value for _, value in found.scores] == sorted([v for _, v in found.scores])[::-1]
    names = {f"in/old/{number}.png": folder / "old" / f"{number}.png" for number in range(5)}
    names["alone.png"] = alone.path
    assert {name for name, _ in found.scores} == set(names)
    for name, value in found.scores:
        x, _ = read_picture(names[name], 4, model.channels)
        assert value == pytest.approx(float(model.score(x)), abs=1e-5)
    assert set(found.left_out) == {"in/letter.jpg", "none.png"}
    assert found.notes[0].startswith("1 of them are of another size; of each, the model sees its")


def test_files_are_scored_a_batch_at_a_time(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [saved(tmp_path / f"{i}.png", np.full((4, 4), 20 * i)) for i in range(7)]
    right = score(model, given)
    sizes: list[int] = []
    whole = model.score
    monkeypatch.setattr("tasks.on_files.BATCH", 3)
    monkeypatch.setattr(model, "score", lambda x: sizes.append(len(x)) or whole(x))
    found = score(model, given)
    assert sizes == [3, 3, 1]
    assert [name for name, _ in found.scores] == [name for name, _ in right.scores]


def test_nothing_to_read_gives_an_empty_ranking(model: Model, tmp_path: Path) -> None:
    found = score(
        model, [File("none.png", tmp_path / "none.png"), File("here", tmp_path / "model")]
    )
    assert found.scores == [] and found.notes == []
    assert set(found.left_out) == {"none.png", "here/model.json", "here/model.pt"}


def test_translation_writes_picture_states_end_and_what_moved(tmp_path: Path) -> None:
    learner = translator()
    save(tmp_path, "maximum_likelihood", learner, learner.networks)
    image = saved(tmp_path / "face.png", noise(10, 8, 3))
    notes = translate(load(tmp_path), image, 0, tmp_path / "row.png")
    assert notes == [
        "face.png is 8x10; the model sees its centre square at 8x8, in colour.",
        "From the left: the picture; states of the chain, the last after 8 steps; what moved, the "
        "lighter the farther.",
    ]
    row = cut(pixels_of(tmp_path / "row.png"), 8)
    assert row.shape == (1, 6, 8, 8, 3)
    x, _ = read_picture(image.path, 8, 3)
    assert np.abs(row[0, 0].transpose(2, 0, 1) / 127.5 - 1 - x).max() < 0.01
    assert (row[0, 5] == row[0, 5][..., :1]).all() and row[0, 5].max() == 255


def test_model_of_other_chains_translates_nothing(model: Model, tmp_path: Path) -> None:
    image = saved(tmp_path / "face.png", noise(8, 8))
    with pytest.raises(ValueError, match="the model's chains start at noise; it takes one whose"):
        translate(model, image, 0, tmp_path / "row.png")


@pytest.fixture
def latent(tmp_path: Path) -> Model:
    """A latent-space model of 8x8 images."""
    from ebm.learn.latent_prior import LatentPrior

    chain = {"steps": 2, "sample_steps": 4, "step_size": 0.01, "temperature": 1.0}
    settings = {
        **{"latent": 3, "prior": None, "optimiser": {"kind": "adam", "rate": 0.1, "momentum": 0.5}},
        "decoder": {"kind": "dense", "size": 8, "channels": 1, "widths": [4], "sd": 0.3},
        "posterior": {"start": "prior", "chain": chain},
    }
    torch.manual_seed(0)
    learner = LatentPrior(LatentPrior.Settings.model_validate(settings))
    folder = tmp_path / "latent"
    folder.mkdir()
    save(folder, "latent_prior", learner, learner.networks)
    return load(folder)


def test_pictures_are_reconstructed_and_the_way_between_two_is_drawn(
    latent: Model, tmp_path: Path
) -> None:
    files = [saved(tmp_path / f"{i}.png", noise(8, 8) // (i + 1)) for i in range(2)]
    told = reconstruct(latent, files, tmp_path / "made.png")
    made = cut(pixels_of(tmp_path / "made.png").astype(np.uint8), 8)
    assert made.shape[:2] == (2, 2) and "0.png" in told[1] and "1.png" in told[2]
    assert np.abs(made[0, 0, ..., 0].astype(int) - pixels_of(files[0].path)).max() <= 1
    told = interpolate(latent, *files, 3, tmp_path / "way.png")
    assert cut(pixels_of(tmp_path / "way.png").astype(np.uint8), 8).shape[:2] == (1, 5)
    assert "3 images from its z to the other's" in told[0]


def test_a_hole_is_filled_from_z_of_what_is_seen(latent: Model) -> None:
    image = torch.rand(1, 8, 8) * 2 - 1
    mask = torch.arange(64).reshape(8, 8) < 32
    fills = latent.inpaint(image, mask, completions=3, seed=1)
    assert fills.shape == (3, 1, 8, 8) and torch.equal(
        fills[:, :, :4], image[None, :, :4].expand(3, 1, 4, 8)
    )
    other = torch.where(mask, image, 0.5)  # what is hidden is not looked at
    assert torch.equal(latent.inpaint(other, mask, completions=3, seed=1), fills)
    assert not torch.equal(fills[0], fills[1])


def test_model_without_z_refuses(model: Model, tmp_path: Path) -> None:
    file = saved(tmp_path / "one.png", noise(4, 4))
    with pytest.raises(ValueError, match="learner multigrid has no latent z"):
        reconstruct(model, [file], tmp_path / "out.png")
    with pytest.raises(ValueError, match="learner multigrid has no latent z"):
        interpolate(model, file, file, 3, tmp_path / "out.png")
