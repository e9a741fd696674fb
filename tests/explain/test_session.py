"""Sessions mean what the edits mean, and strangers' files are one line."""

import base64
import copy
import dataclasses
import json
import re

import jsonschema
import numpy as np
import PIL.Image
import pytest
import session_reference as reference

from hcm_tf.errors import UserError
from hcm_tf.explain import edits, rendering, session
from hcm_tf.explain.__main__ import main
from hcm_tf.explain.decoder import Decoder
from hcm_tf.explain.identity import model_hash
from hcm_tf.prior import between, draw, numbers
from hcm_tf.runs.checkpoint import load

SCHEMA = json.loads(session.SCHEMA_FILE.read_text())


@pytest.fixture(scope="module")
def run(tiny_run):
    return load(tiny_run)


@pytest.fixture(scope="module")
def decoder(run):
    return Decoder(run.generator, progress=False)


@pytest.fixture(scope="module")
def pictures(run, decoder):
    """Recordings of the seeds 3 and 4."""
    return decoder.record(draw(run.prior, 3, 2))


@pytest.fixture
def state(run):
    """Of seed 3, with some changes; `edits` of `edit`."""

    def make(*changes, **values):
        return {
            "version": 2,
            "model": model_hash(run.generator),
            "origin": {"seed": 3, "truncation": 1},
            "anew": False,
            "pins": [],
            "edits": list(changes),
            **values,
        }

    return make


def edit(recording, level, number, **values):
    """A change of the `number`th active unit of a level, removal by default."""
    plain = {"do": "change", "factor": 0, "rows": 0, "columns": 0, "on": True}
    unit = int(np.flatnonzero(recording.codes[level])[number])
    return {**plain, "level": level, "unit": unit, **values}


def part(decoder, recording, level, number):
    return {level: decoder.active(recording, level).take([number])}


@pytest.fixture
def after(run, decoder, tmp_path):
    def compose(values):
        jsonschema.validate(values, SCHEMA)
        path = tmp_path / "session.json"
        path.write_text(json.dumps(values))
        return session.compose(run, decoder, session.read(path, run)).after

    return compose


def close(actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, atol=1e-5 * scale)


def test_nothing_changes_nothing(state, after, pictures):
    close(after(state()), pictures[0].logits)
    off = edit(pictures[0], 1, 0, on=False)
    np.testing.assert_array_equal(after(state(off)), after(state()))


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("anew", [False, True])
def test_weighing(state, after, decoder, pictures, level, anew):
    one = edit(pictures[0], level, 2, factor=-0.5)
    whole = part(decoder, pictures[0], level, 2)
    expected = edits.scale(decoder, pictures[0], whole, -0.5, new_gates=anew).after
    close(after(state(one, anew=anew)), expected)


def test_several_levels_are_those_of_one_part(state, after, decoder, pictures):
    recording = pictures[0]
    changes = [edit(recording, level, 1, factor=0.25) for level in range(3)]
    whole = {}
    for level in range(3):
        whole |= part(decoder, recording, level, 1)
    expected = edits.scale(decoder, recording, whole, 0.25).after
    close(after(state(*changes)), expected)
    close(after(state(*changes[::-1])), expected)


@pytest.mark.parametrize("anew", [False, True])
def test_moving(state, after, decoder, pictures, anew):
    one = edit(pictures[0], 1, 5, factor=1, rows=1, columns=-2)
    whole = part(decoder, pictures[0], 1, 5)
    expected = edits.move(decoder, pictures[0], whole, 1, -2, new_gates=anew).after
    close(after(state(one, anew=anew)), expected)


@pytest.mark.parametrize("level", range(3))
@pytest.mark.parametrize("anew", [False, True])
def test_swapping_is_transplanting(state, after, decoder, pictures, level, anew):
    target, source = pictures
    donor = {"seed": 4, "truncation": 1}
    one = edit(source, level, 3, do="swap", factor=1, donor=donor)
    row, column, _ = np.unravel_index(one["unit"], source.codes[level].shape)
    whole = edits.at_cells(source, level, [(int(row), int(column))])
    expected = edits.transplant(decoder, source, whole, target, new_gates=anew).after
    close(after(state(one, anew=anew)), expected)
    # What a swap replaces is gone, whatever else was to become of it.
    inside = [
        edit(target, level, number, factor=3)
        for number, unit in enumerate(np.flatnonzero(target.codes[level]))
        if unit // target.codes[level].shape[2]
        == one["unit"] // target.codes[level].shape[2]
    ]
    close(after(state(one, *inside, anew=anew)), expected)
    close(after(state(*inside, one, anew=anew)), expected)


@pytest.fixture(scope="module")
def behind(make_run, tiny_config):
    """A run whose parts are anywhere, some of them absent, before a background."""
    model = dataclasses.replace(
        tiny_config.model, placement="free", background_attributes=3, presence="hard"
    )
    run = load(make_run(model=model))
    kernel = run.generator.placing.kernel
    kernel.assign(2.5 * np.random.default_rng(1).normal(size=kernel.shape))
    return run


@pytest.mark.parametrize("anew", [False, True])
def test_a_swap_leaves_the_background(behind, state, tmp_path, anew):
    decoder = Decoder(behind.generator, progress=False)
    target, source = decoder.record(draw(behind.prior, 3, 2))
    always, path = decoder.levels[0].always, tmp_path / "session.json"
    wrong = 0
    for row, column in np.ndindex(target.codes[0].shape[:2]):
        unit = int(np.ravel_multi_index((row, column, 0), target.codes[0].shape))
        swap = {"do": "swap", "level": 0, "unit": unit, "factor": 1, "on": True}
        swap |= {"rows": 0, "columns": 0, "donor": {"seed": 4, "truncation": 1}}
        # What else becomes of the background goes on.
        doubled = edit(target, 0, 0, factor=2, unit=unit)
        values = state(doubled, swap, model=model_hash(behind.generator), anew=anew)
        path.write_text(json.dumps(values))
        found = session.compose(behind, decoder, session.read(path, behind)).after
        code = target.codes[0].copy()
        code[row, column, 0] *= 2
        expected, together = [], edits.at_cells(source, 0, [(row, column)])[0]
        for first in (always, 0):
            given = together.take(together.basis >= first)
            code[row, column, first:] = 0
            if anew:
                put = code.copy()
                put[given.row, given.column, given.basis] = given.value
                expected.append(decoder.redraw(0, put[None], target.placed)[0])
                continue
            rest = decoder.replay(target, 0, code[None])[0]
            expected.append(rest + edits.picture(decoder, source, {0: given}))
        close(found, expected[0])
        wrong += np.abs(found - expected[1]).max() > 1e-2 * np.abs(found).max()
    assert wrong > 8


def test_the_last_change_that_is_on_counts(state, after, decoder, pictures):
    first, last, off = (
        edit(pictures[0], 1, 2, factor=factor, on=factor != 4) for factor in (3, -1, 4)
    )
    whole = part(decoder, pictures[0], 1, 2)
    expected = edits.scale(decoder, pictures[0], whole, -1).after
    close(after(state(first, last, off)), expected)
    # Other units' changes of the same level may stand in any order.
    others = [edit(pictures[0], 1, number, factor=number / 2) for number in range(5)]
    np.testing.assert_allclose(
        after(state(*others)), after(state(*others[::-1])), atol=1e-6
    )


def test_a_swap_above_new_decisions_empties_its_cell(state, after, decoder, pictures):
    """Also of units that the picture did not have there before."""
    recording = pictures[0]
    lower = edit(recording, 0, 0, factor=-4)
    code = recording.codes[0].copy()
    code.reshape(-1)[lower["unit"]] *= -4
    redrawn = np.array(decoder.retrace(0, code).codes[1])[0]
    given = pictures[1].codes[1]
    chosen_anew = np.argwhere((redrawn != 0) & (recording.codes[1] == 0) & (given == 0))
    assert len(chosen_anew)
    row, column, _ = chosen_anew[0]
    unit = int(np.ravel_multi_index((row, column, 0), redrawn.shape))
    donor = {"seed": 4, "truncation": 1}
    swap = {**lower, "do": "swap", "level": 1, "unit": unit, "factor": 1}
    redrawn[row, column] = given[row, column]
    expected = decoder.redraw(1, redrawn[None])[0]
    close(after(state(lower, {**swap, "donor": donor}, anew=True)), expected)


def test_inserting(state, after, decoder, pictures):
    target, source = pictures
    donor = {"seed": 4, "truncation": 1}
    one = edit(source, 1, 0, do="insert", factor=2, columns=1, donor=donor)
    given = edits.picture(decoder, source, part(decoder, source, 1, 0))
    cell = decoder.windows(source, 1, None).cell
    expected = target.logits + 2 * edits.shift(given, 0, cell)
    close(after(state(one)), expected)


def test_new_decisions_build_on_those_below(state, after, decoder, pictures):
    recording = pictures[0]
    changes = [edit(recording, 0, 0), edit(recording, 1, 0, factor=2)]
    code = recording.codes[0].copy()
    code.reshape(-1)[changes[0]["unit"]] = 0
    code = np.array(decoder.retrace(0, code).codes[1])[0]
    code.reshape(-1)[changes[1]["unit"]] *= 2
    close(after(state(*changes, anew=True)), decoder.redraw(1, code[None])[0])


def random_edits(random, run, decoder, recording, count):
    """Edits of all kinds, most of units that are active, and their donors."""
    edits, donors = [], []
    for _ in range(count):
        level = int(random.integers(len(recording.codes)))
        kind = ["change", "change", "insert", "swap"][random.integers(4)]
        origin = {"seed": int(random.integers(6)), "truncation": 0.75}
        donor = decoder.record(session.latent_of(origin, run)[None])[0]
        code = (recording if kind == "change" else donor).codes[level]
        active = np.flatnonzero(code)
        unit = random.choice(active if random.integers(4) else code.size)
        cells = random.integers(-2, 3, 2) * random.integers(2)
        edits.append(
            {
                "do": kind,
                "level": level,
                "unit": int(unit),
                "factor": float(random.choice([-2, 0, 0.5, 1, 3])),
                "rows": int(cells[0]),
                "columns": int(cells[1]),
                "on": bool(random.integers(5)),
                **({} if kind == "change" else {"donor": origin}),
            }
        )
        donors.append(None if kind == "change" else donor)
    return edits, donors


@pytest.mark.parametrize("anew", [False, True])
def test_any_session_is_the_plain_reference(run, decoder, pictures, state, after, anew):
    random = np.random.default_rng(0)
    draw_plainly = reference.anew if anew else reference.recorded
    for count in np.tile(np.arange(1, 9), 4):
        changes, donors = random_edits(random, run, decoder, pictures[0], count)
        expected = draw_plainly(decoder, pictures[0], changes, donors)
        close(after(state(*changes, anew=anew)), expected)


def test_origins(run, decoder):
    whole = np.array([-(2**23), -1, 0, 1, 2**23 - 1, 12345], "int32")
    raw = b"".join(int(one & 0xFFFFFF).to_bytes(3, "little") for one in whole)
    origin = {"latent": base64.b64encode(raw).decode()}
    np.testing.assert_array_equal(session.latent_of(origin, run), whole / 2.0**23)
    way = {"seed": 3, "other": 9, "share": 0.25, "truncation": 0.5}
    expected = between(run.prior, np.array([3, 9], "int32"), 4, 0.5)[1]
    np.testing.assert_allclose(session.latent_of(way, run), expected, atol=1e-7)
    seed = {"seed": 7, "truncation": 0.5}
    np.testing.assert_array_equal(
        session.latent_of(seed, run), run.prior.from_seeds(numbers(7, 1), 0.5)[0]
    )


CHOICES = (
    {},
    {"shape": "none"},
    {"hat_color": "none", "shape": "square"},
    {"hat_color": "red=hot"},
)


@pytest.fixture(scope="module")
def labelled(labelled_run):
    """(run, decoder, names of its labels and their classes)."""
    run = load(labelled_run)
    names = [(one.name, one.classes) for one in run.config.model.labels]
    return run, Decoder(run.generator, progress=False), names


@pytest.mark.parametrize("classes", CHOICES)
def test_origins_choose_classes(labelled, classes):
    run, _, names = labelled
    raw = np.random.default_rng(0).integers(0, 256, 3 * run.prior.size, np.uint8)
    origins = [
        *({"seed": seed, "truncation": 0.5} for seed in (-7, 0, 2**31 - 1)),
        {"latent": base64.b64encode(raw).decode()},
    ]
    for origin in origins:
        origin = {**origin, "classes": classes}
        expected = reference.latent(origin, run.prior, names)
        np.testing.assert_array_equal(session.latent_of(origin, run), expected)


def test_a_way_keeps_the_chosen_classes(labelled):
    run, _, _ = labelled
    size = run.config.model.latent_size
    way = {"seed": 3, "other": 9, "share": 0.25, "truncation": 0.5}
    mixed = session.latent_of(way, run)
    found = session.latent_of({**way, "classes": {"shape": "square"}}, run)
    np.testing.assert_array_equal(found[:size], mixed[:size])
    np.testing.assert_array_equal(found[size : size + 3], [0, 1, 0])
    np.testing.assert_array_equal(found[size + 3 :], mixed[size + 3 :])


@pytest.mark.parametrize("anew", [False, True])
def test_a_session_of_classes_is_the_plain_reference(labelled, state, tmp_path, anew):
    run, decoder, names = labelled
    random = np.random.default_rng(1)
    draw_plainly = reference.anew if anew else reference.recorded
    path = tmp_path / "session.json"
    drawn = []
    for classes in CHOICES:
        origin = {"seed": 3, "truncation": 1, "classes": classes}
        latent = np.asarray(reference.latent(origin, run.prior, names))
        recording = decoder.record(latent[None])[0]
        changes, _ = random_edits(random, run, decoder, recording, 5)
        donors = []
        for change in changes:
            if change["do"] == "change":
                donors.append(None)
                continue
            change["donor"] |= {"classes": CHOICES[random.integers(4)]}
            latent = np.asarray(reference.latent(change["donor"], run.prior, names))
            donors.append(decoder.record(latent[None])[0])
        values = state(*changes, origin=origin, anew=anew)
        values["model"] = model_hash(run.generator)
        jsonschema.validate(values, SCHEMA)
        path.write_text(json.dumps(values))
        found = session.compose(run, decoder, session.read(path, run))
        close(found.after, draw_plainly(decoder, recording, changes, donors))
        close(found.before, recording.logits)
        drawn.append(found.before)
    # The same latent as shape=none and as shape=square.
    assert np.abs(drawn[1] - drawn[2]).max() > 1e-2 * np.abs(drawn[1]).max()


def test_every_origin_keeps_its_classes(labelled, state, tmp_path):
    run, _, _ = labelled
    path = tmp_path / "session.json"
    origins = [
        {"seed": 3, "truncation": 1.0},
        {"seed": 3, "truncation": 1.0, "other": 4, "share": 0.5},
        {"latent": base64.b64encode(bytes(3 * run.prior.size)).decode()},
    ]
    for origin in origins:
        for classes in CHOICES:
            asked = {**origin, "classes": classes} if classes else origin
            values = state(origin=asked, model=model_hash(run.generator))
            path.write_text(json.dumps(values))
            assert session.read(path, run).origin == asked


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"hat": "none"}, "there is no label 'hat'; there are shape, hat_color."),
        ({"shape": "red"}, "There are shape: round, square, none."),
        ({"shape": 1}, "no such class. There are shape: round, square, none."),
        (["shape"], "classes must be an object"),
        (None, "classes must be an object"),
    ],
)
def test_classes_that_there_are_not_are_said(labelled, state, tmp_path, classes, said):
    run, _, _ = labelled
    wrong = {"seed": 3, "truncation": 1, "classes": classes}
    path = tmp_path / "session.json"
    donated = {"do": "swap", "level": 0, "unit": 0, "factor": 1, "rows": 0}
    donated |= {"columns": 0, "on": True, "donor": wrong}
    for values in ({"origin": wrong}, {"pins": [wrong]}, {"edits": [donated]}):
        values = state(**values) | {"model": model_hash(run.generator)}
        path.write_text(json.dumps(values))
        with pytest.raises(UserError, match=re.escape(said)) as caught:
            session.read(path, run)
        assert str(caught.value).isprintable()


def test_a_model_without_labels_has_no_classes(state, run, tmp_path):
    path = tmp_path / "session.json"
    origin = {"seed": 3, "truncation": 1, "classes": {"shape": "round"}}
    path.write_text(json.dumps(state(origin=origin)))
    with pytest.raises(UserError, match="this run was trained without labels"):
        session.read(path, run)


def test_the_command_writes_the_picture(
    tiny_run, state, decoder, pictures, tmp_path, capsys
):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(state(edit(pictures[0], 1, 0))))
    arguments = [f"--run_dir={tiny_run}", f"--session={path}"]
    assert main(["explain", *arguments, f"--out={tmp_path}/out"]) == 0
    assert "1 change(s)" in capsys.readouterr().out
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"before.png", "after.png", "difference.png", "edit.json"}
    drawn = np.asarray(PIL.Image.open(tmp_path / "out" / "after.png"))[::4, ::4]
    whole = part(decoder, pictures[0], 1, 0)
    expected = edits.remove(decoder, pictures[0], whole).after
    np.testing.assert_array_equal(drawn, rendering.image_pixels(expected))
    for other in ("atlas", "--seed=3", "--image=a.png", "--label=round"):
        assert main(["explain", other, *arguments, f"--out={tmp_path}/no"]) == 1
        assert f"leave out {other.split('=')[0]}." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"version": 1}, "no session of this version"),
        ({"model": "0" * 16}, "another model"),
        ({"anew": 1}, "anew must be true or false"),
        ({"pins": [{}] * 25}, "pins must be a list of at most 24"),
        ({"origin": {"seed": 2**31, "truncation": 1}}, "seed must be an integer"),
        ({"origin": {"seed": 1, "truncation": float("nan")}}, "truncation must be"),
        ({"origin": {"latent": "AAAA"}}, "latent must have 6 entries"),
        ({"origin": {"latent": "?"}}, "latent must be base64"),
        ({"origin": None}, "an origin must be an object"),
        ({"edits": [{"do": "explode"}]}, "do must be"),
        ({"edits": {}}, "edits must be a list"),
        ({"edits": [{"do": "swap"}]}, "level is missing"),
    ],
)
def test_what_is_wrong_is_said(state, run, tmp_path, values, said):
    path = tmp_path / "session.json"
    path.write_text(json.dumps(state(**values)))
    with pytest.raises(UserError, match=said):
        session.read(path, run)


def test_damaged_text_is_one_line(state, run, pictures, tmp_path):
    random = np.random.default_rng(0)
    text = json.dumps(state(*two_edits(pictures[0]), pins=[LATENT])).encode()
    path, refused = tmp_path / "session.json", []
    for _ in range(400):
        damaged = bytearray(text)
        for _ in range(random.integers(1, 4)):
            place = random.integers(len(damaged))
            damaged[place : place + random.integers(3)] = random.bytes(
                random.integers(3)
            )
        path.write_bytes(bytes(damaged))
        try:
            session.read(path, run)
        except UserError as error:
            refused.append(str(error))
    assert len(refused) > 200
    assert not any("\n" in line for line in refused)
    path.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(UserError, match="too large"):
        session.read(path, run)
    with pytest.raises(UserError, match="cannot be read"):
        session.read(tmp_path / "missing.json", run)


def test_damaged_values_are_one_line(state, run, decoder, pictures, tmp_path):
    """Every value of a session, replaced by odd ones or left out."""
    way = {"seed": 3, "other": 4, "share": 0.5, "truncation": 1}
    whole = state(*two_edits(pictures[0]), origin=way, pins=[LATENT, way])
    path, taken, refused = tmp_path / "session.json", [], []
    for place in places(whole):
        for odd in (MISSING, *ODD):
            values = replaced(whole, place, odd)
            path.write_text(json.dumps(values))
            try:
                found = session.read(path, run)
            except UserError as error:
                refused.append(str(error))
            else:
                # Whatever is taken is what the schema describes, and can be drawn.
                jsonschema.validate(values, SCHEMA)
                taken.append(found)
    assert len(refused) > 500
    assert not any("\n" in line or not line.isprintable() for line in refused)
    assert len(taken) > 20
    for found in taken[::3]:
        assert np.isfinite(session.compose(run, decoder, found).after).all()


def test_a_mistake_leaves_nothing(tiny_run, state, tmp_path, capsys):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(state(model="0" * 16)))
    arguments = f"--run_dir={tiny_run}", f"--session={path}"
    assert main(["explain", *arguments, f"--out={tmp_path}/out"]) == 1
    error = capsys.readouterr().err.strip()
    assert "another model" in error
    assert len(error.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["mine.json"]


LATENT = {"latent": base64.b64encode(bytes(18)).decode()}
MISSING = object()
ODD = (
    *(None, True, False, 0, -1, 1.5, 2.0, 2**31, 10**30, -0.0),
    *(float("nan"), float("inf"), "", "x", "AAAA", "\x1b[31m\n", "\ud800"),
    *([], {}, [[]], {"seed": 1}),
)


def two_edits(recording):
    swap = edit(recording, 0, 1, do="swap", donor=LATENT)
    return [edit(recording, 1, 0), swap]


def places(value, place=()):
    """The way to every value inside of one."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inside:
        yield (*place, key)
        if isinstance(one, dict | list):
            yield from places(one, (*place, key))


def replaced(whole, place, odd):
    """A copy with another value, or none, at a place."""
    whole = holder = copy.deepcopy(whole)
    for key in place[:-1]:
        holder = holder[key]
    if odd is MISSING:
        del holder[place[-1]]
    else:
        holder[place[-1]] = odd
    return whole
