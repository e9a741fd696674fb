"""The client over real gRPC and REST, against a stand-in on the loopback interface."""

import base64
import concurrent.futures
import io
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import odd_servers
import pytest
import stand_in
import tensorflow as tf
from google.protobuf import text_format
from odd_servers import dripping, http, raw
from PIL import Image
from tensorflow_serving.config import model_server_config_pb2

from export import client, grpc_messages, prediction
from hcm_tf import command
from hcm_tf import images as pictures
from hcm_tf.errors import UserError
from hcm_tf.images import to_uint8

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def module_server(exported):
    with stand_in.serve(exported) as server:
        yield server


@pytest.fixture
def server(module_server):
    module_server.reset()
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
    drawn = generator(loaded.prior.from_seeds(np.array(seeds, "int32")))
    return to_uint8(drawn)


def test_images_are_those_of_keras(predict, loaded):
    np.testing.assert_array_equal(draw(predict), expected(loaded, range(5)))


def test_unavailable_is_tried_again(predict, server, loaded):
    server.failures = 3
    np.testing.assert_array_equal(draw(predict), expected(loaded, range(5)))
    assert server.failures == 0
    assert sorted(server.sizes) == [1, 2, 2]


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
        with pytest.raises(UserError, match="no answer within"):
            draw(predict, count=1, deadline=0.5)
    finally:
        server.delay.set()


@pytest.mark.parametrize("classes", [[], ["Dress"]], ids=["seeds", "labels"])
@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_nobody_there_is_an_error(kind, classes):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"127.0.0.1:{port}"
    predict = (
        client.grpc_predict(address, "generator", classes)
        if kind == "grpc"
        else client.rest_predict(f"http://{address}", "generator", classes)
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
    limit = [("grpc.max_receive_message_length", prediction.MAXIMUM_MESSAGE)]
    server.maximum_batch = None
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


def png(size=(4, 4), mode="RGB"):
    width, height = size
    shape = (height, width, 3) if mode == "RGB" else (height, width)
    noise = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    image = Image.fromarray(noise)
    file = io.BytesIO()
    (image.convert("P") if mode == "P" else image).save(file, "PNG")
    return file.getvalue()


def encoded(*files):
    return [{"b64": base64.b64encode(file).decode()} for file in files]


# Every answer is for two seeds.
ODD_ANSWERS = {
    "an empty object": (http({}), "without a list of `predictions`"),
    "a list": (http([1, 2, 3]), "without a list of `predictions`"),
    "null": (http(None), "without a list of `predictions`"),
    "a number": (http(7), "without a list of `predictions`"),
    "predictions of another kind": (
        http({"predictions": {"a": 1}}),
        "without a list of `predictions`",
    ),
    "rows of floats": (http({"predictions": [[0.5], [1]]}), "no images"),
    "numbers": (http({"predictions": [1, 2]}), "no images"),
    "text": (http({"predictions": ["a", "b"]}), "no images"),
    "null rows": (http({"predictions": [None, None]}), "no images"),
    "other outputs": (http({"predictions": [{"images": [1]}] * 2}), "no images"),
    "no base64": (http({"predictions": [{"b64": "%%"}] * 2}), "no images"),
    "base64 of another type": (http({"predictions": [{"b64": 5}] * 2}), "no images"),
    "no PNG": (http({"predictions": encoded(b"x", b"x")}), "no image to show"),
    "another format": (http({"predictions": encoded(b"BM" + bytes(60)) * 2}), "no im"),
    "half a PNG": (
        http({"predictions": encoded(png((64, 64))[:-40]) * 2}),
        "no image to show",
    ),
    "a palette": (http({"predictions": encoded(png(mode="P")) * 2}), "mode P"),
    "a giant": (http({"predictions": encoded(png((5000, 1))) * 2}), "5000 x 1"),
    "two sizes": (
        http({"predictions": encoded(png((4, 4)), png((5, 4)))}),
        "different shapes",
    ),
    "one too few": (http({"predictions": encoded(png())}), "the server sent 1"),
    "one too many": (http({"predictions": encoded(png()) * 3}), "the server sent 3"),
    "no JSON": (http(b"<html>"), "sent no JSON"),
    "no text": (http(b"\xff\xfe\x1b[31m"), "sent no JSON"),
    "an abyss": (http(b"[" * 100_000), "sent no JSON"),
    "nothing": (http(b""), "sent no JSON"),
    "a redirect": (
        http(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"),
        "redirected to http://127.0.0.1:1/",
    ),
    "a permanent redirect": (
        http(b"", "308 Permanent Redirect", "Location: /there\r\n"),
        "redirected to /there",
    ),
    "a redirect to nowhere": (http(b"", "301 Moved"), "redirected to nowhere"),
    "an error without JSON": (http(b"\x1b[2Jgone", "500 Oh no"), "answered 500: Oh no"),
    "an error with odd JSON": (http([1], "400 Bad"), "answered 400: Bad"),
    "an error that is no text": (http({"error": {"a": 1}}, "400 Bad"), "answered 400"),
    "an error of control characters": (
        http({"error": "\x1b]0;x\x07 bad\nseed"}, "400 Bad"),
        "bad seed",
    ),
    "an endless error": (http({"error": "x" * 10**5}, "400 Bad"), "xxx..."),
    "HTTP/2": (raw(b"\x00\x00\x12\x04\x00\x1b[31m\x00"), "did not answer in HTTP"),
    "an odd status line": (raw(b"HTTP/1.1 abc\r\n\r\n"), "did not answer in HTTP"),
    "a long line": (raw(b"HTTP/1.1 200 " + b"x" * 70_000), "did not answer in HTTP"),
}


@pytest.mark.parametrize(("reply", "told"), ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_odd_answers_are_one_line_of_text(reply, told, tmp_path, capsys):
    out = tmp_path / "grid.png"
    with odd_servers.serve(reply) as port:
        status = run_command(
            [f"--url=http://127.0.0.1:{port}", "--count=2", f"--out={out}"]
        )
    shown = capsys.readouterr().err
    assert status == 1
    (line,) = shown.splitlines()
    assert line.startswith("client: ")
    assert line.isprintable()
    assert told in line
    assert len(line) < 600
    assert not list(tmp_path.iterdir())


def metadata(**inputs):
    """What a server says of a model, with inputs of its `sample_label_png`."""
    signatures = {"sample_label_png": {"inputs": inputs}} if inputs else {}
    return http({"metadata": {"signature_def": {"signature_def": signatures}}})


def text_input(size):
    return {"tensor_shape": {"dim": [{"size": "-1"}, {"size": size}]}}


ODD_METADATA = {
    "an empty object": (http({}), "no model's metadata"),
    "a list": (http([1]), "no model's metadata"),
    "no JSON": (http(b"<html>"), "sent no JSON"),
    "an error": (http({"error": "gone"}, "404 Not Found"), "answered 404: gone"),
    "no labels": (metadata(), "the server's model was trained without labels"),
    "no such input": (metadata(seed=text_input("1")), "no model's metadata"),
    "no dimensions": (metadata(label={"tensor_shape": {}}), "no model's metadata"),
    "no size": (metadata(label=text_input("x")), "no model's metadata"),
    "a size beyond all": (metadata(label=text_input(float("inf"))), "no model's meta"),
    "a size beyond reason": (metadata(label=text_input("9" * 15)), "999 labels"),
    "too few": (metadata(label=text_input("1")), "more classes than the 1 labels"),
}


@pytest.mark.parametrize(("reply", "told"), ODD_METADATA.values(), ids=ODD_METADATA)
def test_odd_metadata_are_one_line_of_text(reply, told, tmp_path, capsys):
    out = tmp_path / "grid.png"
    with odd_servers.serve(reply) as port:
        status = run_command(
            [f"--url=http://127.0.0.1:{port}", "--label=a,b", f"--out={out}"]
        )
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 1
    assert told in line
    assert line.isprintable()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_labels_of_a_model_without_are_one_line(kind, server, tmp_path, capsys):
    url = server.grpc_address if kind == "grpc" else server.rest_url
    out = tmp_path / "grid.png"
    assert run_command([f"--url={url}", "--label=Dress", f"--out={out}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--label=Dress: the server's model was trained without labels." in line


@pytest.mark.parametrize(
    ("reply", "told"),
    [(raw(b""), "no answer within 1.5 s"), (http(b"x", "503 Busy"), "1.5 s (Busy)")],
)
def test_what_may_pass_is_tried_again(reply, told):
    asked = []

    def counting(connection):
        asked.append(1)
        reply(connection)

    with odd_servers.serve(counting) as port:
        predict = client.rest_predict(f"http://127.0.0.1:{port}", "generator")
        with pytest.raises(UserError, match=re.escape(told)):
            draw(predict, count=1, deadline=1.5)
    assert 2 <= len(asked) <= 6


def test_an_answer_cut_short_is_tried_again():
    short = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    with odd_servers.serve(short) as port:
        predict = client.rest_predict(f"http://127.0.0.1:{port}", "generator")
        with pytest.raises(UserError, match=r"no answer within 1.5 s \(IncompleteR"):
            draw(predict, count=1, deadline=1.5)


def test_a_last_attempt_that_is_cut_hides_no_reason():
    """Whose seconds are few, because the attempts before had used them."""

    def predict(seeds, seconds):
        if seconds > 0.15:
            raise prediction.Unavailable("the model is being loaded")
        time.sleep(seconds)
        raise TimeoutError

    told = r"no answer within 0.2 s \(the model is being loaded\)"
    with pytest.raises(UserError, match=told):
        draw(predict, count=1, deadline=0.2)


DRIPPED = {
    "from the first byte": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
    "the error": b"HTTP/1.1 400 Bad\r\nContent-Length: 9000\r\n\r\n",
}


@pytest.mark.parametrize("head", DRIPPED.values(), ids=DRIPPED)
@pytest.mark.parametrize("at_once", [True, False], ids=["body", "headers"])
def test_the_deadline_bounds_a_server_that_drips(head, at_once):
    """Each read is answered in time, and the whole would take hours."""

    def reply(connection):
        if at_once:
            connection.sendall(head)
        dripping(b" " * 9000 if at_once else head + b" " * 9000, 0.2)(connection)

    with odd_servers.serve(reply) as port:
        predict = client.rest_predict(f"http://127.0.0.1:{port}", "generator")
        began = time.monotonic()
        with pytest.raises(UserError, match="no answer within"):
            draw(predict, count=1, deadline=1.0)
        assert 0.9 <= time.monotonic() - began < 3.0


def test_the_command_ends_while_a_server_drips(tmp_path):
    """Also the process: no thread that still reads keeps it."""
    reply = dripping(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 900, 1.0)
    with odd_servers.serve(reply) as port:
        began = time.monotonic()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "export.client", "--deadline=2"),
                *(f"--url=http://127.0.0.1:{port}", f"--out={tmp_path}/a.png"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        taken = time.monotonic() - began
    assert done.returncode == 1
    assert "no answer within 2 s" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert 2.0 <= taken < 30.0


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_the_other_protocols_port_is_an_error_in_text(kind, server, tmp_path, capsys):
    """gRPC's answer to HTTP/1 is binary; REST's to HTTP/2 is no gRPC."""
    web = server.rest_url.removeprefix("http://")
    url = web if kind == "grpc" else f"http://{server.grpc_address}"
    arguments = [f"--url={url}", "--deadline=1", f"--out={tmp_path}/a.png"]
    assert run_command(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert ("did not answer in HTTP" in line) == (kind == "rest")
    assert not list(tmp_path.iterdir())


def test_damaged_images_are_errors_in_words():
    """Whatever single byte a PNG file is hit at."""
    whole = png((8, 8))
    refused = 0
    for index in range(len(whole)):
        damaged = bytearray(whole)
        damaged[index] ^= 0xFF
        try:
            client.draw(
                lambda seeds, seconds, file=bytes(damaged): [file],
                np.zeros(1, "int32"),
                batch=1,
                concurrency=1,
                deadline=1.0,
            )
        except UserError:
            refused += 1
    assert refused > len(whole) // 4


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_a_large_batch_is_split_and_says_so(kind, server, loaded, tmp_path, capsys):
    out = tmp_path / "grid.png"
    url = server.grpc_address if kind == "grpc" else server.rest_url
    status = run_command([f"--url={url}", "--batch=40", "--count=35", f"--out={out}"])
    assert status == 0
    said = capsys.readouterr().out
    assert "--batch=40 is above the server's limit of 16 images a request" in said
    assert "35 images are asked for in 3 requests" in said
    assert sorted(server.sizes) == [3, 16, 16]
    grid = pictures.grid(expected(loaded, range(35)) / 127.5 - 1.0)
    np.testing.assert_allclose(
        np.asarray(Image.open(out)).astype(int), grid.astype(int), rtol=0, atol=1
    )


def test_a_batch_that_fits_is_not_spoken_of(server, tmp_path, capsys):
    arguments = [f"--url={server.rest_url}", "--batch=40", "--count=16"]
    assert run_command([*arguments, f"--out={tmp_path}/a.png"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert server.sizes == [16]


def test_the_limit_is_that_of_the_servers_configuration():
    text = prediction.BATCHING_FILE.read_text()
    allowed = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    # The server refuses a configuration in which the last is not the limit.
    assert prediction.maximum_batch() == allowed[-1] == 16


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--url is required"),
        (["--url=localhost"], "lacks the port: localhost:8500"),
        (["--url=http://"], "expected http://host:port"),
        (["--url=http://localhost:port"], "--url=http://localhost:port"),
        (["--url=http://[::1"], "--url=http://[::1"),
        (["--url=http://a b:1"], "expected http://host:port"),
        (["--url=http://a:1/?x=1"], "expected http://host:port"),
        (["--url=ftp://localhost:1"], "expected host:port, or http://host:port"),
        (["--url=http://localhost:1", "--grpc"], "--grpc takes host:port"),
        (["--url=localhost:1", "--out=a.jpg"], "--out=a.jpg: a PNG file is written"),
        (["--url=localhost:1", "--out=a"], "let it end with .png"),
        (["--url=localhost:1", "--seed=2147483647"], "below 2**31"),
    ],
)
def test_wrong_flags_are_told_before_anyone_is_asked(
    arguments, told, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    assert run_command(arguments) == 1
    assert time.monotonic() - began < 5
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not list(tmp_path.iterdir())


def test_a_models_name_is_quoted(server):
    predict = client.rest_predict(server.rest_url, "a b/:é")
    with pytest.raises(UserError, match="404"):
        draw(predict, count=1)


def test_the_client_needs_no_tensorflow(server, tmp_path):
    """Over gRPC neither: it takes seconds to load, and is large to install."""
    code = (
        "import sys; from export import client; from hcm_tf import command;"
        "status = command.run('client', client.FLAGS, client.main);"
        "loaded = {name.split('.')[0] for name in sys.modules};"
        "print(status, sorted(loaded & {'tensorflow', 'keras', 'tensorflow_serving'}))"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", code, "--count=1"),
            *(f"--url={server.grpc_address}", f"--out={tmp_path}/a.png"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "0 []", done.stderr
    assert done.stderr == ""


def test_grpc_messages_are_those_of_the_package():
    from tensorflow.core.framework import types_pb2
    from tensorflow_serving.apis import predict_pb2

    seeds = np.array([0, -1, 2**31 - 1, -(2**31)], "int32")
    request = predict_pb2.PredictRequest.FromString(
        grpc_messages.request("générateur", "sample_png", {"seed": seeds})
    )
    expected = predict_pb2.PredictRequest()
    expected.model_spec.name = "générateur"
    expected.model_spec.signature_name = "sample_png"
    expected.inputs["seed"].CopyFrom(tf.make_tensor_proto(seeds, tf.int32))
    assert request == expected
    assert types_pb2.DT_INT32 == grpc_messages.INT32
    assert types_pb2.DT_STRING == grpc_messages.STRING


def test_grpc_answers_are_those_of_the_package():
    from tensorflow_serving.apis import predict_pb2

    files = [b"\x00\xff", b"", b"c" * 1000]
    response = predict_pb2.PredictResponse()
    response.model_spec.name = "generator"
    response.outputs["latent"].CopyFrom(tf.make_tensor_proto(np.ones((3, 2))))
    response.outputs["image_bytes"].CopyFrom(tf.make_tensor_proto(files))
    contents = response.SerializeToString()
    assert grpc_messages.strings(contents, "image_bytes") == files
    with pytest.raises(ValueError, match="no strings named latent"):
        grpc_messages.strings(contents, "latent")
    with pytest.raises(ValueError, match="but nothing"):
        grpc_messages.strings(b"", "image_bytes")
    with pytest.raises(ValueError, match="no PredictResponse"):
        grpc_messages.strings(contents[:-7], "image_bytes")


@pytest.mark.parametrize(
    ("classes", "told"),
    [([], "sent no (PredictResponse|strings)"), (["a"], "sent no (GetM|signatures)")],
    ids=["seeds", "labels"],
)
@pytest.mark.parametrize("contents", [b"\xff\xff\xff", b""])
def test_odd_answers_over_grpc_are_errors(contents, classes, told, capfd):
    import grpc

    answer = grpc.unary_unary_rpc_method_handler(lambda *asked: contents)
    handler = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService",
        {"Predict": answer, "GetModelMetadata": answer},
    )
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), (handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        predict = client.grpc_predict(f"127.0.0.1:{port}", "generator", classes)
        with pytest.raises(UserError, match=told):
            draw(predict, count=1)
    finally:
        server.stop(None).wait()
    assert "Traceback" not in capfd.readouterr().err
