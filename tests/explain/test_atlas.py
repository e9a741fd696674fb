import json

import numpy as np
import PIL.Image
import pytest

from hcm_tf.explain import atlas, commands
from hcm_tf.explain.attribution import relative_error
from hcm_tf.explain.units import Units


def test_global_bases_sum_to_the_image(recorded):
    decoder, recording = recorded
    bases = atlas.global_bases(decoder, recording, ranks=1000)
    assert relative_error(bases.sum(axis=0, dtype="float64"), recording.logits) <= 1e-5
    assert len(atlas.global_bases(decoder, recording, ranks=2)) == 2


def test_part_bases_are_the_attributes_of_each_location_by_rank(recorded):
    decoder, recording = recorded
    units, rank, pictures = atlas.part_bases(decoder, recording, ranks=1000)
    assert units.count == np.count_nonzero(recording.codes[0])
    for row, column in np.ndindex(4, 4):
        here = (units.row == row) & (units.column == column)
        assert rank[here].tolist() == list(range(here.sum()))
        assert np.all(np.diff(units.value[here]) <= 0)
    total = np.zeros_like(recording.logits, dtype="float64")
    decoder.windows(recording, 0, None).add(total, pictures.astype("float64"), units)
    assert relative_error(total, recording.logits) <= 1e-5


@pytest.mark.parametrize("level", range(4))
def test_level_atlas_against_plain_counts(sparse, level):
    decoder, _ = sparse
    size = decoder.generator.latent_size
    latents = np.random.default_rng(0).uniform(-1, 1, (40, size))
    found = atlas.level_atlas(decoder, latents, level, tiles=5)
    recordings = decoder.record(latents)
    codes = np.stack([recording.codes[level] for recording in recordings])
    shape = codes.shape
    flat = codes.reshape(shape[0], -1, shape[-1])
    expected = (flat != 0).sum(axis=0) if level == 0 else (flat != 0).sum(axis=(0, 1))
    np.testing.assert_array_equal(found.usage, expected)
    np.testing.assert_array_equal(
        found.never_used, np.flatnonzero(expected.ravel() == 0)
    )
    assert np.all(np.diff(found.usage.ravel()[found.shown]) <= 0)
    for index, picture in zip(found.shown, found.pictures, strict=True):
        basis = index % shape[-1]
        values = codes[..., basis].copy()
        if level == 0:
            elsewhere = np.ones((4, 4), bool)
            elsewhere[divmod(index // shape[-1], 4)] = False
            values[:, elsewhere] = 0
        sample, row, column = np.unravel_index(np.abs(values).argmax(), values.shape)
        unit = Units(
            *(np.array([x]) for x in (row, column, basis, values[sample, row, column]))
        )
        alone = unit.code(shape[1:])
        expected_picture = decoder.replay(recordings[sample], level, alone[None])
        assert relative_error(picture, expected_picture[0]) <= 1e-5


def test_written_atlases(recorded, tmp_path):
    decoder, recording = recorded
    size = decoder.generator.latent_size
    latents = np.random.default_rng(0).uniform(-1, 1, (4, size))
    atlases = [
        atlas.level_atlas(decoder, latents, level, 6)
        for level in range(len(recording.codes))
    ]
    sheets = atlas.image_sheets(decoder, recording)
    atlas.write(tmp_path, sheets, atlases, step=3)
    usage = json.loads((tmp_path / "usage.json").read_text())
    assert [level["level"] for level in usage] == list(decoder.level_names)
    names = ["global_bases", "part_bases", *(f"level_{n}" for n in decoder.level_names)]
    for name in names:
        PIL.Image.open(tmp_path / f"{name}.png").verify()
    assert list((tmp_path / "tensorboard").glob("events*"))
    sheet = atlases[0].transparent_sheet()
    assert sheet.shape[-1] == 4
    assert set(np.unique(sheet[..., 3])) == {0, 255}


@pytest.mark.parametrize(("classes", "shares"), [((), 3), (("square",), 1)])
def test_an_atlas_of_a_class_is_of_that_class(
    labelled_run, tmp_path, monkeypatch, classes, shares
):
    seen = []
    plain = atlas.level_atlas

    def level_atlas(decoder, latents, *more):
        seen.append(np.asarray(latents))
        return plain(decoder, latents, *more)

    monkeypatch.setattr(atlas, "level_atlas", level_atlas)
    source = commands.Source(classes=classes)
    out = tmp_path / "atlas"
    options = {"levels": ["8x8"], "samples": 20, "tiles": 4, "memory_mb": 256.0}
    commands.make_atlas(labelled_run, out, source, **options)
    (latents,) = seen
    drawn = latents[:, -6:-3].mean(axis=0)  # As the first label's three classes.
    assert np.count_nonzero(drawn) == shares
    assert drawn[1] == 1 or not classes
