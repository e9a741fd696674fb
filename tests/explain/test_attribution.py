import dataclasses

import keras
import numpy as np
import pytest
from explain_helpers import SMALL, record

from hcm_tf.explain import attribution
from hcm_tf.explain.decoder import Decoder
from hcm_tf.networks import build_generator


def test_units_sum_to_the_image_at_every_level(recorded):
    decoder, recording = recorded
    for level, code in enumerate(recording.codes):
        result = attribution.attribute(decoder, recording, level)
        assert result.residual <= 1e-5
        assert result.share.sum() == pytest.approx(1.0, abs=1e-5)
        assert result.units.count == np.count_nonzero(code)
        assert np.all(result.energy >= 0)
        assert np.all(np.diff(result.share[result.order]) <= 0)


def test_the_residual_sees_a_wrong_picture(sparse):
    decoder, recording = sparse
    wrong = dataclasses.replace(recording, logits=recording.logits * 1.01)
    residual = attribution.attribute(decoder, wrong, 3).residual
    assert residual == pytest.approx(0.01 / 1.01, rel=1e-3)


def test_shares_of_one_backward_pass_equal_those_of_decoding(recorded):
    decoder, recording = recorded
    for level, shares in enumerate(attribution.shares(decoder, recording)):
        result = attribution.attribute(decoder, recording, level)
        units = result.units
        decoded = np.zeros_like(shares)
        decoded[units.row, units.column, units.basis] = result.share
        assert attribution.relative_error(shares, decoded) <= 1e-5
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)


def test_credit_of_a_region_is_what_its_units_draw_there(recorded):
    decoder, recording = recorded
    region = np.zeros(recording.logits.shape[:2], bool)
    region[5:14, 10:20] = True
    energy = np.sum(np.square(recording.logits[region].astype("float64")))
    levels = attribution.shares(decoder, recording, region)
    for level, shares in enumerate(levels):
        units = decoder.active(recording, level)
        some = units.take(np.argsort(-np.abs(shares[units[:3]]))[:12])
        for unit in range(some.count):
            one = some.take([unit])
            code = one.code(recording.codes[level].shape)
            drawn = decoder.replay(recording, level, code[None])[0]
            here = np.sum(drawn[region].astype("float64") * recording.logits[region])
            share = shares[one[:3]][0]
            assert here / energy == pytest.approx(share, rel=1e-4, abs=1e-7)
        assert shares.sum() == pytest.approx(1.0, abs=1e-5)
    nothing = attribution.shares(decoder, recording, np.zeros_like(region))
    assert not any(level.any() for level in nothing)


def test_pictures_of_locations_are_those_of_their_attributes(recorded):
    decoder, recording = recorded
    pictures = attribution.location_pictures(decoder, recording)
    assert pictures.shape == (16, *recording.logits.shape)
    whole = pictures.sum(axis=0)
    assert attribution.relative_error(whole, recording.logits) <= 1e-5
    alone = np.zeros_like(recording.codes[0])
    alone[2, 1] = recording.codes[0][2, 1]
    expected = decoder.replay(recording, 0, alone[None])[0]
    assert attribution.relative_error(pictures[9], expected) <= 1e-5


def test_behind_the_locations_is_the_background():
    keras.utils.set_random_seed(0)
    behind = {"placement": "free", "background_attributes": 3}
    generator = build_generator(dataclasses.replace(SMALL["sparse"], **behind))
    decoder = Decoder(generator, progress=False)
    recording = record(decoder)[0]
    pictures = attribution.location_pictures(decoder, recording)
    assert len(pictures) == 17
    whole = pictures.sum(axis=0)
    assert attribution.relative_error(whole, recording.logits) <= 1e-5
    alone = np.array(recording.codes[0])
    alone[..., 3:] = 0
    expected = decoder.replay(recording, 0, alone[None])[0]
    assert attribution.relative_error(pictures[16], expected) <= 1e-5
    alone = np.zeros_like(recording.codes[0])
    alone[2, 1, 3:] = recording.codes[0][2, 1, 3:]
    expected = decoder.replay(recording, 0, alone[None])[0]
    assert attribution.relative_error(pictures[9], expected) <= 1e-5


@pytest.mark.parametrize("level", [0, 1])
def test_contributions_to_pixels_are_of_every_unit_decoded_alone(recorded, level):
    decoder, recording = recorded
    found = attribution.pixel_contributions(decoder, recording, level, 16)
    units = decoder.active(recording, level)
    assert found.shape == (16, 16, units.count, recording.logits.shape[-1])
    logits = attribution.pooled(recording.logits[None], 16)[0]
    assert attribution.relative_error(found.sum(axis=2), logits) <= 1e-5
    shape = recording.codes[level].shape
    for unit in np.linspace(0, units.count - 1, 6).astype(int):
        code = units.take([unit]).code(shape)
        drawn = decoder.replay(recording, level, code[None])
        expected = attribution.pooled(drawn, 16)[0]
        assert attribution.relative_error(found[:, :, unit], expected) <= 1e-5


def test_pooled_pixels_are_means_of_squares():
    picture = np.arange(2 * 4 * 4 * 3, dtype="float64").reshape(2, 4, 4, 3)
    found = attribution.pooled(picture, 2)
    for row, column in np.ndindex(2, 2):
        square = picture[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        np.testing.assert_allclose(found[:, row, column], square.mean(axis=(1, 2)))
    np.testing.assert_array_equal(attribution.pooled(picture, 4), picture)


def test_reconstruction_from_no_units_and_from_all(recorded):
    decoder, recording = recorded
    result = attribution.attribute(decoder, recording, 1)
    counts = np.array([0, 1, result.units.count])
    parts = attribution.reconstruct(decoder, recording, result, counts)
    explained = attribution.explained(parts, recording.logits)
    np.testing.assert_array_equal(parts[0], 0.0)
    assert explained[0] == pytest.approx(0.0, abs=1e-12)
    assert explained[2] == pytest.approx(1.0, abs=1e-5)
    first = result.order[:1]
    alone = decoder.unit_pictures(recording, 1, result.units.take(first))
    windows = decoder.windows(recording, 1, None)
    unit = result.units.take(first)
    placed = windows.place(alone[0], unit.row[0], unit.column[0])
    assert attribution.relative_error(parts[1], placed) <= 1e-6
    # 1 - |L - u|^2 / |L|^2 = 2 share - energy / |L|^2
    whole = np.sum(np.square(recording.logits.astype("float64")))
    expected = 2 * result.share[first] - result.energy[first] / whole
    assert explained[1] == pytest.approx(expected[0], rel=1e-4)


def test_top_counts_run_from_none_to_all():
    assert attribution.top_counts(1).tolist() == [0, 1]
    assert attribution.top_counts(0).tolist() == [0]
    counts = attribution.top_counts(1000, steps=4)
    assert counts.tolist() == [0, 1, 10, 100, 1000]
