"""The client over real gRPC and REST, against a stand-in on the loopback interface."""

import socket
import threading

import numpy as np
import pytest
import stand_in
from google.protobuf import text_format
from PIL import Image
from tensorflow_serving.config import model_server_config_pb2

from export import client, command
from export.latents import latents
from hcm_tf import pictures
from hcm_tf.data.conversion import to_uint8
from hcm_tf.errors import UserError


@pytest.fixture(scope="module")
def module_server(exported):
    with stand_in.serve(exported) as server:
        yield server


@pytest.fixture
def server(module_server):
    module_server.failures, module_server.delay = 0, None
    module_server.most_at_once = module_server.answered = 0
    return module_server


@pytest.fixture(params=["grpc", "rest"])
def predict(request, server):
    if request.param == "grpc":
        return client.grpc_predict(server.grpc_address, "generator")
    return client.rest_predict(server.rest_url, "generator")


def draw(predict, count=5, batch=2, concurrency=2, deadline=20.0):
    seeds = np.arange(count, dtype="int32")
    return client.draw(
        predict, seeds, batch=batch, concurrency=concurrency, deadline=deadline
    )


def run_command(arguments):
    client.FLAGS.unparse_flags()
    return command.run("client", client.FLAGS, client.main, ["client", *arguments])


def expected(loaded, seeds):
    generator = loaded.generator
    drawn = generator(latents(np.array(seeds, "int32"), generator.latent_size))
    return to_uint8(drawn)


def test_images_are_those_of_keras(predict, loaded):
    np.testing.assert_array_equal(draw(predict), expected(loaded, range(5)))


def test_unavailable_is_tried_again(predict, server, loaded):
    server.failures = 3
    np.testing.assert_array_equal(draw(predict), expected(loaded, range(5)))
    assert server.failures == 0
    assert server.answered == 3


def test_requests_are_concurrent(predict, server):
    server.delay = threading.Event()
    timer = threading.Timer(1.0, server.delay.set)
    timer.start()
    draw(predict, count=8, batch=2, concurrency=4)
    timer.join()
    assert 1 < server.most_at_once <= 4


def test_unavailable_for_too_long_is_an_error(predict, server):
    server.failures = 1000
    with pytest.raises(UserError, match="no answer within"):
        draw(predict, count=1, deadline=0.5)


def test_deadline_ends_a_request_that_hangs(predict, server):
    server.delay = threading.Event()
    try:
        with pytest.raises(UserError, match=r"DEADLINE_EXCEEDED|no answer within"):
            draw(predict, count=1, deadline=0.5)
    finally:
        server.delay.set()


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_nobody_there_is_an_error(kind):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    predict = (
        client.grpc_predict(address, "generator")
        if kind == "grpc"
        else client.rest_predict(f"http://{address}", "generator")
    )
    with pytest.raises(UserError, match="Is the server running"):
        draw(predict, count=1, deadline=0.5)


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_unknown_model_is_an_error_and_not_tried_again(kind, server):
    predict = (
        client.grpc_predict(server.grpc_address, "nothing")
        if kind == "grpc"
        else client.rest_predict(server.rest_url, "nothing")
    )
    with pytest.raises(UserError, match=r"NOT_FOUND|404"):
        draw(predict, count=1)


def test_messages_above_four_megabytes_arrive(server):
    """gRPC's own limit ends at 4 MiB; 400 float images of 32x32x3 are 4.7 MiB."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "generator"
    request.model_spec.signature_name = "sample"
    request.inputs["seed"].CopyFrom(tf.make_tensor_proto(np.arange(400, dtype="int32")))
    limit = [("grpc.max_receive_message_length", client.MAXIMUM_MESSAGE)]
    for options, ok in ((None, False), (limit, True)):
        with grpc.insecure_channel(server.grpc_address, options=options) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            if ok:
                answer = stub.Predict(request, timeout=60)
                assert len(answer.outputs["images"].tensor_content) > 4 * 2**20
            else:
                with pytest.raises(grpc.RpcError) as caught:
                    stub.Predict(request, timeout=60)
                assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_command_writes_the_grid(kind, server, loaded, tmp_path, capsys):
    out = tmp_path / "grid.png"
    url = server.grpc_address if kind == "grpc" else server.rest_url
    arguments = [f"--url={url}", f"--{kind}", "--count=6", "--seed=1", f"--out={out}"]
    status = run_command(arguments)
    assert status == 0
    assert "6 images" in capsys.readouterr().out
    grid = pictures.grid(expected(loaded, range(1, 7)) / 127.5 - 1.0)
    np.testing.assert_array_equal(np.asarray(Image.open(out)), grid)


def test_command_says_one_line_and_writes_nothing(tmp_path, capsys):
    out = tmp_path / "grid.png"
    arguments = ["--url=127.0.0.1:1", "--grpc", "--deadline=0.3", f"--out={out}"]
    status = run_command(arguments)
    assert status == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("client: no answer within 0.3 s")
    assert not list(tmp_path.iterdir())


def test_models_config_is_what_the_server_reads():
    import pathlib

    path = pathlib.Path(client.__file__).parent / "serving" / "models.config"
    config = text_format.Parse(
        path.read_text(), model_server_config_pb2.ModelServerConfig()
    )
    names = {entry.name: entry.base_path for entry in config.model_config_list.config}
    assert names == {
        "generator": "/models/generator",
        "encoder": "/models/encoder",
    }
