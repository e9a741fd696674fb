"""Generated requests: an answer or one sentence each, and the server lives on."""

import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from hcm_tf.runs.checkpoint import load
from hcm_tf.studio import wire
from hcm_tf.studio.api import Api
from hcm_tf.studio.engine import Engine
from hcm_tf.studio.server import TOKEN_HEADER, Studio

# As many as the issue asks for where FUZZ_EXAMPLES asks for thousands.
EXAMPLES = int(2.5 * int(os.environ.get("FUZZ_EXAMPLES", "120")))
HOST = "127.0.0.1:4321"
NAMES = ("id", "level", "unit", "codes", "count", "seed", "other", "share")
NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.none(),
    st.booleans(),
    st.text(max_size=5),
)
VALUES = st.dictionaries(
    st.sampled_from([*NAMES, "truncation", "key", "name", "classes", "other thing"]),
    st.one_of(
        NUMBERS,
        st.lists(NUMBERS, max_size=3),
        st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
    ),
)
SIZES = st.sampled_from([0, 1, 2, 6, 7, 64, 3072])
ARRAYS = st.dictionaries(
    st.sampled_from(
        ["latent", "pixels", "weights", "index", "value", "index0", "value0", "x"]
    ),
    st.tuples(SIZES, st.booleans(), st.sampled_from([0.0, 0.5, -1.0, 1e30, np.nan])),
)
SEEN = {"requests": 0, "answered": 0}


@pytest.fixture(scope="module")
def studio(make_run):
    run_dir = make_run()
    studio = Studio(Api(Engine(load(run_dir), "tiny"), run_dir))
    studio.port = 4321
    # So that some of the ids exist.
    for seed in range(30):
        studio.api.engine.trace(studio.api.engine.latent_of(seed, 1.0))
    return studio


def post(studio, path, body):
    return Client(studio).post(
        path,
        data=body,
        headers={
            "Host": HOST,
            "Origin": f"http://{HOST}",
            TOKEN_HEADER: studio.token,
            "Content-Type": "application/octet-stream",
        },
    )


def arrays_of(described):
    return {
        name: np.full(size, 3, "uint32") if whole else np.full(size, value, "float32")
        for name, (size, whole, value) in described.items()
    }


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_every_request_is_answered_or_refused_in_one_line(studio, data):
    verb = data.draw(st.sampled_from([*studio.api.verbs, "nothing"]))
    body = wire.pack(data.draw(VALUES), arrays_of(data.draw(ARRAYS)))
    body = data.draw(st.one_of(st.just(body), st.binary(max_size=40)))
    began = time.monotonic()
    response = post(studio, f"/api/{verb}", body)
    # The first of each kind is traced by TensorFlow.
    assert time.monotonic() - began < 20
    assert response.status_code in (200, 400, 404, 410, 411), response.text
    if response.status_code != 200:
        assert len(response.text.splitlines()) == 1
    SEEN["requests"] += 1
    SEEN["answered"] += response.status_code == 200


def test_it_is_alive_after_them(studio):
    assert SEEN["answered"] > SEEN["requests"] / 50
    response = post(studio, "/api/model", wire.pack({}, {}))
    assert wire.unpack(response.data)[0]["hash"] == studio.api.engine.model["hash"]
