"""The studio's server: its verbs are the decoder's, and strangers are refused."""

import numpy as np
import pytest
from werkzeug.test import Client

from hcm_tf.explain import names
from hcm_tf.explain.attribution import credit
from hcm_tf.prior import draw
from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import wire
from hcm_tf.studio.api import Api
from hcm_tf.studio.engine import Engine
from hcm_tf.studio.server import TOKEN_HEADER, Studio, listen

PORT = 4321
WITH_ARGUMENTS = [
    *("latent", "trace", "redraw", "replay", "credit"),
    *("edges", "choice", "encode", "slope", "rename"),
]
HOST = f"127.0.0.1:{PORT}"


@pytest.fixture(scope="module")
def studio(make_run):
    run_dir = make_run()
    studio = Studio(Api(Engine(load(run_dir), "tiny"), run_dir))
    studio.port = PORT
    return studio


@pytest.fixture(scope="module")
def ask(studio):
    def ask(verb, values=(), **arrays):
        response = post(studio, verb, wire.pack(dict(values), arrays))
        assert response.status_code == 200, response.text
        return wire.unpack(response.data)

    return ask


def post(studio, verb, body=b"", path=None, **headers):
    sent = {
        "Host": HOST,
        "Origin": f"http://{HOST}",
        TOKEN_HEADER: studio.token,
        "Content-Type": "application/octet-stream",
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in sent.items() if value is not None}
    # The client would put the body's own length in its place.
    length = sent.pop("Content-Length", None)
    return Client(studio).post(
        path or f"/api/{verb}",
        data=body,
        headers=sent,
        environ_overrides={"CONTENT_LENGTH": length} if length else {},
    )


@pytest.fixture(scope="module")
def labelled(labelled_run):
    """The studio of a run that draws by labels."""
    studio = Studio(Api(Engine(load(labelled_run), "tiny"), labelled_run))
    studio.port = PORT
    return studio


def trace_as(studio, latent, classes):
    return post(studio, "trace", wire.pack({"classes": classes}, {"latent": latent}))


@pytest.mark.parametrize(
    "classes",
    [{}, {"shape": "square"}, {"hat_color": "red=hot", "shape": "none"}],
)
def test_a_class_is_what_sample_draws_of_it(labelled, classes):
    run = labelled.api.engine.run
    own = draw(run.prior, 3, 1)
    response = trace_as(labelled, own[0], classes)
    found = wire.unpack(response.data)[1]
    asked = run.choose([f"{name}={one}" for name, one in classes.items()])
    np.testing.assert_array_equal(found["latent"], draw(asked.prior, 3, 1)[0])
    np.testing.assert_allclose(
        np.tanh(found["logits"]), asked.sample(1, seed=3).ravel(), atol=1e-6
    )


def test_the_model_tells_its_labels(labelled, studio):
    model = labelled.api.engine.model
    assert [one["name"] for one in model["labels"]] == ["shape", "hat_color"]
    assert model["labels"][0]["classes"] == ("round", "square", "none")
    assert model["latentSize"] == 6 + 3 + 3
    assert studio.api.engine.model["labels"] == []


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"hat": "none"}, "there is no label 'hat'; there are shape, hat_color."),
        (
            {"shape": "squares"},
            "shape='squares': no such class. Did you mean square? There are shape: "
            "round, square, none.",
        ),
        ("square", "classes must be an object of a class for each label."),
    ],
)
def test_classes_that_there_are_not_are_refused(labelled, classes, said):
    response = trace_as(labelled, np.zeros(12, "float32"), classes)
    assert (response.status_code, response.text) == (400, said)


def test_a_model_without_labels_refuses_classes(studio):
    response = trace_as(studio, np.zeros(6, "float32"), {"shape": "square"})
    assert response.status_code == 400
    assert "this run was trained without labels" in response.text


def test_labels_have_no_slope(labelled):
    engine = labelled.api.engine
    pixels = np.zeros(engine.shape, "float32")
    _, gradient = engine.slope(engine.latent_of(3, 1.0), pixels)
    assert np.all(gradient[:6] != 0)
    np.testing.assert_array_equal(gradient[6:], 0)


@pytest.fixture(scope="module")
def picture(ask):
    asked = {"seed": 3, "other": 3, "share": 0, "truncation": 0.7}
    _, found = ask("latent", asked)
    values, arrays = ask("trace", latent=found["latent"])
    return values["id"], arrays


def test_a_trace_is_the_run_s_picture(studio, picture):
    run = studio.api.engine.run
    latent = draw(run.prior, 3, 1, 0.7)
    np.testing.assert_array_equal(picture[1]["latent"], latent[0])
    np.testing.assert_allclose(
        np.tanh(picture[1]["logits"]), run.draw(latent).ravel(), atol=1e-6
    )


@pytest.mark.parametrize("level", range(3))
def test_parts_sum_to_the_picture(ask, picture, level):
    number, arrays = picture
    index, value = arrays[f"{level}index"], arrays[f"{level}value"]
    half = len(index) // 2
    _, drawn = ask(
        "replay",
        {"id": number, "level": level, "codes": 2},
        index0=index[:half],
        value0=value[:half],
        index1=index[half:],
        value1=value[half:],
    )
    scale = np.abs(arrays["logits"]).max()
    whole = drawn["logits0"] + drawn["logits1"]
    np.testing.assert_allclose(whole, arrays["logits"], atol=1e-5 * scale)


def test_credit_sums_to_the_region(studio, ask, picture):
    number, arrays = picture
    weights = np.where(np.arange(arrays["logits"].size) < 900, arrays["logits"], 0)
    _, found = ask("credit", {"id": number}, weights=weights)
    engine = studio.api.engine
    recording = engine.trace(arrays["latent"]).recording
    shaped = weights.reshape(engine.shape)
    expected = credit(engine.decoder, recording, shaped)
    energy = np.sum(weights.astype("float64") ** 2)
    for level, whole in enumerate(expected):
        code = recording.codes[level]
        np.testing.assert_allclose(found[f"credit{level}"], whole[code != 0], rtol=1e-4)
        assert found[f"credit{level}"].sum() == pytest.approx(energy, rel=1e-5)


def test_edges_into_a_unit_sum_to_it(ask, picture):
    number, arrays = picture
    unit, value = int(arrays["1index"][0]), arrays["1value"][0]
    _, found = ask("edges", {"id": number, "level": 1, "unit": unit})
    assert found["below0value"].sum() == pytest.approx(value, rel=1e-4)
    parent = int(found["below0index"][0])
    _, back = ask("edges", {"id": number, "level": 0, "unit": parent})
    place = np.flatnonzero(back["childrenindex"] == unit)
    assert back["childrenvalue"][place] == pytest.approx(found["below0value"][0])


def test_every_level_below_makes_all_of_a_unit(ask, picture):
    number, arrays = picture
    unit, value = int(arrays["2index"][0]), arrays["2value"][0]
    _, found = ask("edges", {"id": number, "level": 2, "unit": unit})
    for lower in range(2):
        made = found[f"below{lower}value"]
        assert made.sum() == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("level", range(3))
def test_redrawing_its_own_code_changes_nothing(ask, picture, level):
    _, arrays = picture
    code = {"index": arrays[f"{level}index"], "value": arrays[f"{level}value"]}
    values, drawn = ask("redraw", {"level": level}, **code)
    assert values["lowest"] == level
    np.testing.assert_allclose(drawn["logits"], arrays["logits"], atol=1e-5)
    _, found = ask("credit", {"id": values["id"]}, weights=drawn["logits"])
    energy = np.sum(np.square(drawn["logits"]))
    for above in range(level, 3):
        np.testing.assert_array_equal(drawn[f"{above}index"], arrays[f"{above}index"])
        assert found[f"credit{above}"].sum() == pytest.approx(energy, rel=1e-4)


def test_rivals_are_at_the_same_place_and_in_order(ask, picture):
    number, arrays = picture
    unit = int(arrays["0index"][0])
    asked = {"id": number, "level": 0, "unit": unit, "count": 4}
    values, found = ask("choice", asked)
    assert np.all(found["index"] // 12 == unit // 12)
    assert unit not in found["index"]
    assert np.all(np.diff(found["response"]) <= 0)
    own = arrays["0value"][0]
    assert values["lead"] == pytest.approx(own - found["response"][0])
    assert np.all((found["response"] > own).sum() <= values["rank"] - 1)


def test_the_slope_is_the_error_s(studio, ask, picture):
    _, arrays = picture
    engine = studio.api.engine
    latent = arrays["latent"].copy()
    pixels = np.tanh(arrays["logits"] + 0.3).astype("float32")
    values, found = ask("slope", latent=latent, pixels=pixels)
    expected = np.mean(np.square(np.tanh(arrays["logits"]) - pixels))
    assert values["error"] == pytest.approx(expected, rel=1e-4)
    step = (1e-3 * found["gradient"] / np.abs(found["gradient"]).max()).astype("f4")
    ahead, behind = (engine.slope(latent + way * step, pixels)[0] for way in (1, -1))
    slope = float(found["gradient"] @ (2 * step))
    assert ahead - behind == pytest.approx(slope, rel=0.05)


def test_names_are_kept_with_the_run(studio, ask):
    assert ask("names")[0]["names"] == {}
    given = {"8x8:1": "left eye", "attributes:1,2:4": "hair, \u2019s"}
    for key, name in given.items():
        found = ask("rename", {"key": key, "name": name})[0]["names"]
    assert found == given
    assert ask("names")[0]["names"] == given
    model = studio.api.engine.model["hash"]
    assert names.read(studio.api.run_dir, model) == given
    assert names.read(studio.api.run_dir, "0" * 16) == {}  # Another model's.


@pytest.mark.parametrize(
    ("key", "name"),
    [
        *((None, "x"), ([], "x"), ({}, ""), ("a", 1), ("a", None), ("a", "x" * 81)),
        *(("a", "\u001b[31m"), ("", "x")),
    ],
)
def test_odd_names_are_refused(studio, key, name):
    response = post(studio, "rename", wire.pack({"key": key, "name": name}, {}))
    assert response.status_code == 400
    assert "name" in response.text


def test_what_is_no_file_of_names_any_more_is_said(studio, tmp_path):
    mine = Studio(Api(studio.api.engine, tmp_path))
    mine.port, path = PORT, tmp_path / names.FILE
    path.write_text("mine")
    response = post(mine, "rename", wire.pack({"key": "8x8:1", "name": "eye"}, {}))
    assert response.status_code == 400
    assert response.text.endswith("cannot be read as names. Mend it or move it away.")
    assert path.read_text() == "mine"


def test_forgotten_pictures_are_said(studio, ask):
    latent = np.zeros(6, "float32")
    first, _ = ask("trace", latent=latent)
    for _ in range(32):
        ask("trace", latent=latent)
    body = wire.pack({"id": first["id"], "level": 0, "unit": 0}, {})
    assert post(studio, "edges", body).status_code == 410


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, {"Host": "example.org"}),
        (400, {"Host": "127.0.0.1:80"}),
        (400, {"Host": "127.0.0.1"}),
        (403, {"Origin": "http://example.org"}),
        (403, {"Origin": None}),
        (403, {TOKEN_HEADER: None}),
        (403, {TOKEN_HEADER: "wrong"}),
        (403, {"Sec-Fetch-Site": "cross-site"}),
        (415, {"Content-Type": "application/json"}),
        (413, {"Content-Length": str(2**30)}),
    ],
)
def test_strangers_are_refused(studio, status, headers):
    response = post(studio, "model", wire.pack({}, {}), **headers)
    assert response.status_code == status


@pytest.mark.parametrize(
    "path",
    ["/../config.json", "/..%2fserver.py", "//etc/passwd", "/page/", "/api/model"],
)
def test_nothing_but_the_page_is_served(studio, path):
    response = Client(studio).get(path, headers={"Host": HOST})
    assert response.status_code == 404
    assert b"config" not in response.data


def test_every_answer_carries_the_policy(studio):
    for path in ("/", "/main.js", "/missing"):
        headers = Client(studio).get(path, headers={"Host": HOST}).headers
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_damaged_messages_are_refused_in_one_line(studio):
    random = np.random.default_rng(0)
    whole = wire.pack({"level": 0}, {"index": np.arange(3, dtype="uint32")})
    for number in range(300):
        body = bytearray(whole[: random.integers(1, len(whole) + 1)])
        for _ in range(random.integers(0, 4)):
            if body:
                body[random.integers(len(body))] = random.integers(256)
        verb = WITH_ARGUMENTS[number % len(WITH_ARGUMENTS)]
        response = post(studio, verb, bytes(body))
        assert response.status_code in (400, 410), response.text
        assert "\n" not in response.text


def test_nine_wait_and_the_tenth_is_told(studio):
    taken = [studio._places.acquire(blocking=False) for _ in range(9)]
    try:
        assert all(taken)
        assert post(studio, "model", wire.pack({}, {})).status_code == 503
    finally:
        for _ in taken:
            studio._places.release()


def test_it_listens_on_loopback_only(studio):
    with listen(Studio(studio.api), 0) as server:
        assert server.socket.getsockname()[0] == "127.0.0.1"
