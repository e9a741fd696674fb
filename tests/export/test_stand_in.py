"""The stand-in refuses what TensorFlow Serving's source refuses, with its statuses."""

import json
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import stand_in
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


@pytest.fixture(scope="module")
def server(exported):
    with stand_in.serve(exported) as serving:
        yield serving


def rest(server, body=None, path="/v1/models/generator:predict"):
    """Status and JSON of a request; of GET without a body."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    request = urllib.request.Request(server.rest_url + path, body)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def over_grpc(server, inputs, *, name="generator", signature="sample", **more):
    """The response, or the status code."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    request.output_filter.extend(more.get("outputs", ()))
    if "version" in more:
        request.model_spec.version.value = more["version"]
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            return stub.Predict(request, timeout=30)
        except grpc.RpcError as error:
            return error.code().name, error.details()


def seeds(*values, signature="sample_png", **more):
    return {"signature_name": signature, "instances": list(values), **more}


LATENT = [0.5, -1, 0, 1, 0.25, 1e-3]
REFUSED = {
    "a decimal seed": (seeds(1.0), "1.0 is not of expected type: int32"),
    "a seed as text": (seeds("1"), "1 is not of expected type: int32"),
    "a seed as a truth": (seeds(True), "True is not of expected type: int32"),
    "no seed": (seeds(None), "None is not of expected type: int32"),
    "a seed too large": (seeds(2**31), "is not of expected type: int32"),
    "a seed too small": (seeds(-(2**31) - 1), "is not of expected type: int32"),
    "a seed in an object": (seeds({"b64": "AA=="}), "is not of expected type"),
    "seeds of two shapes": (seeds(1, [1]), "Expecting shape"),
    "seeds of one shape, the wrong one": (seeds([1], [2]), ""),
    "seventeen": (
        seeds(*range(17)),
        "Task size 17 is larger than maximum input batch size 16",
    ),
    "no signature of that name": (
        seeds(1, signature="nothing"),
        'Serving signature name: "nothing" not found in signature def',
    ),
    "no name of a signature": (seeds(1, signature=7), "must be a string"),
    "no rows": (seeds(), "No values in 'instances' array"),
    "rows that are none": (
        {"signature_name": "sample_png", "instances": 1},
        "Excepting 'instances' to be an list/array",
    ),
    "neither": ({"signature_name": "sample_png"}, "Missing 'inputs' or 'instances'"),
    "both": (seeds(1, inputs=[1]), "only one of 'inputs' or 'instances'"),
    "other names in rows": (seeds({"seeds": 1}), "keys must be equal to: seed"),
    "a row with a name, then one without": (seeds({"seed": 1}, 1), "object"),
    "other names in columns": (
        {"signature_name": "sample_png", "inputs": {"seeds": [1]}},
        "Missing named input: seed in 'inputs' object.",
    ),
    "a column of one value": (
        {"signature_name": "sample_png", "inputs": 1},
        "Batching Run() input tensors must have at least one dimension",
    ),
    "no JSON": (b"{", "JSON Parse error"),
    "no contents": (b"", "The document is empty"),
    "a list": ([1], "Is not object"),
    "latents as text": ({"instances": [["a"] * 6]}, "not of expected type: float32"),
    "uneven latents": ({"inputs": [LATENT, LATENT[:5]]}, "unexpected size: 5"),
    "deeper in the middle": ({"inputs": [[0.0] * 5 + [[1]]]}, "unexpected level"),
    "shallow in the middle": ({"inputs": [LATENT, 1.0]}, "incorrect level"),
    "latents of another length": ({"instances": [LATENT[:5]]}, ""),
    "whole numbers that float32 lacks": (
        {"instances": [[2**24, *LATENT[1:]]]},
        "without loss of precision",
    ),
    "numbers beyond float32": (
        {"instances": [[1e39, *LATENT[1:]]]},
        "without loss of precision",
    ),
}


@pytest.mark.parametrize(("body", "told"), REFUSED.values(), ids=REFUSED)
def test_what_rest_refuses(body, told, server):
    status, answer = rest(server, body)
    assert status == 400
    assert answer.keys() == {"error"}
    assert told in answer["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/nothing:predict", 404),
        ("/v1/models/generator/versions/2:predict", 404),
        ("/v1/models/generator/versions/1:predict", 200),
        ("/v1/models/generator:PREDICT", 200),
        ("/v1/models/generator", 400),
        ("/v1/models/generator:draw", 400),
        ("/v1/models/generator:classify", 501),
    ],
)
def test_where_rest_answers(path, status, server):
    assert rest(server, seeds(1), path)[0] == status


def test_rows_and_columns_are_the_same_values(server):
    rows = rest(server, seeds(3, -4, signature="sample"))[1]["predictions"]
    named = rest(server, seeds({"seed": 3}, {"seed": -4}, signature="sample"))[1]
    assert named == {"predictions": rows}
    for columns in ([3, -4], {"seed": [3, -4]}):
        body = {"signature_name": "sample", "inputs": columns}
        status, answer = rest(server, body)
        assert status == 200
        assert answer.keys() == {"outputs"}
        assert answer["outputs"].keys() == {"images", "latent"} == rows[0].keys()
        for name, values in answer["outputs"].items():
            assert values == [row[name] for row in rows]


def test_of_one_output_the_bare_values_are_sent(server, loaded):
    latent = np.array([LATENT, LATENT[::-1]], "float32")
    images = rest(server, {"instances": latent.tolist()})[1]["predictions"]
    assert rest(server, {"inputs": latent.tolist()})[1] == {"outputs": images}
    expected = loaded.generator(latent)
    np.testing.assert_allclose(np.array(images), expected, rtol=0, atol=1e-4)


def test_bytes_are_base64_both_ways(server):
    (first, second) = rest(server, seeds(1, 2))[1]["predictions"]
    body = {"signature_name": "from_bytes", "instances": [first["image_bytes"]]}
    path = "/v1/models/encoder:predict"
    status, answer = rest(server, body, path)
    assert status == 200
    assert np.array(answer["predictions"]).shape == (1, 6)
    body["instances"] = [first["image_bytes"], second["image_bytes"]]
    assert len(rest(server, body, path)[1]["predictions"]) == 2
    body["instances"] = [{"b64": "%"}]
    assert rest(server, body, path)[1]["error"].endswith("Unable to base64 decode")


def test_sixteen_fit(server):
    assert len(rest(server, seeds(*range(16)))[1]["predictions"]) == 16


def test_status(server):
    expected = {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    for path in ("/v1/models/generator", "/v1/models/encoder/versions/1"):
        assert rest(server, path=path) == (200, expected)
    for path, status, told in (
        ("/v1/models/no", 404, "Could not find any versions of model no"),
        ("/v1/models/generator/versions/2", 404, "Could not find version 2 of model"),
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/model/generator", 400, "Malformed request: GET /v1/model/generator"),
        ("/v1/models/generator:predict", 400, "Malformed request: GET"),
        ("/v1/models/no/metadata", 404, "Servable not found for request: Latest(no)"),
    ):
        found, answer = rest(server, path=path)
        assert found == status
        assert told in answer["error"]


def test_metadata_are_the_signatures(server):
    status, answer = rest(server, path="/v1/models/generator/metadata")
    assert status == 200
    assert answer["model_spec"]["name"] == "generator"
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures.keys() >= {"serving_default", "sample", "sample_png", "explain"}
    seed = signatures["sample_png"]["inputs"]["seed"]
    assert seed["dtype"] == "DT_INT32"
    assert [size["size"] for size in seed["tensor_shape"]["dim"]] == ["-1"]


SEEDS = {"seed": np.arange(2, dtype="int32")}
REFUSED_OVER_GRPC = {
    "model": (SEEDS, {"name": "no"}, "NOT_FOUND", "Latest(no)"),
    "version": (SEEDS, {"version": 2}, "NOT_FOUND", "Specific(generator, 2)"),
    "signature": (
        SEEDS,
        {"signature": "no"},
        "FAILED_PRECONDITION",
        'Serving signature key "no" not found.',
    ),
    "wide seeds": ({"seed": np.arange(2)}, {}, "INVALID_ARGUMENT", "int32"),
    "decimal seeds": ({"seed": np.ones(2, "f4")}, {}, "INVALID_ARGUMENT", "int32"),
    "no input": ({}, {}, "INVALID_ARGUMENT", "input size does not match signature"),
    "two inputs": ({**SEEDS, "b": [1]}, {}, "INVALID_ARGUMENT", "input size"),
    "another input": ({"seeds": [1]}, {}, "INVALID_ARGUMENT", "seeds"),
    "output": (SEEDS, {"outputs": ["no"]}, "INVALID_ARGUMENT", "alias not found"),
    "output twice": (SEEDS, {"outputs": ["images"] * 2}, "INVALID_ARGUMENT", "dupl"),
    "one value": ({"seed": np.int32(1)}, {}, "INVALID_ARGUMENT", "one dimension"),
    "seventeen": (
        {"seed": np.arange(17, dtype="int32")},
        {},
        "INVALID_ARGUMENT",
        "Task size 17 is larger than maximum input batch size 16",
    ),
}


@pytest.mark.parametrize(
    ("inputs", "how", "code", "told"), REFUSED_OVER_GRPC.values(), ids=REFUSED_OVER_GRPC
)
def test_what_grpc_refuses(inputs, how, code, told, server):
    found, details = over_grpc(server, inputs, **how)
    assert found == code
    assert told in details


def test_grpc_answers_with_the_specification(server):
    latent = {"latent": np.array([LATENT], "float32")}
    answer = over_grpc(server, latent, signature="", version=1)
    assert answer.model_spec.signature_name == "serving_default"
    assert answer.model_spec.version.value == 1
    assert {*answer.outputs} == {"images"}


def test_filtered_requests_go_around_the_batcher(server):
    """Which is why the client asks for all outputs."""
    many = {"seed": np.arange(17, dtype="int32")}
    answer = over_grpc(server, many, outputs=["latent"])
    assert tf.make_ndarray(answer.outputs["latent"]).shape == (17, 6)
    every = over_grpc(server, many, outputs=["latent", "images"])
    assert every[0] == "INVALID_ARGUMENT"


def test_it_says_what_it_is_not():
    text = " ".join(stand_in.__doc__.split())
    assert "NOT TensorFlow Serving, a test double" in text
    assert "What it is not" in text
