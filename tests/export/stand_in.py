"""A stand-in for a model server: NOT TensorFlow Serving, a test double.

It answers TensorFlow Serving's documented protocol (gRPC Predict; REST v1 predict and
status) on the loopback interface, by the same C++ loader, and does nothing else that a
server does: no batching, no versions, no reloading.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import threading

import grpc
import numpy as np
import tensorflow as tf
from cpp_loader import CppError, CppModel
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

HTTP_STATUS = {3: 400, 5: 404, 14: 503}
CODES = {code.value[0]: code for code in grpc.StatusCode}
NOT_FOUND, UNAVAILABLE = 5, 14


class StandIn(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The models, and what the tests want to know or to provoke.

    Attributes:
        failures: how many of the next requests are answered with UNAVAILABLE.
        delay: an event that requests wait for; None: they do not.
        most_at_once: the largest number of requests that were open together.
    """

    def __init__(self, directories: dict) -> None:
        self.models = {name: CppModel(path) for name, path in directories.items()}
        self.lock = threading.Lock()
        self.failures = 0
        self.delay = None
        self.open = self.most_at_once = self.answered = 0

    def run(self, model: str, signature: str, inputs: dict) -> dict:
        with self.lock:
            self.open += 1
            self.most_at_once = max(self.open, self.most_at_once)
            fail = self.failures > 0
            self.failures -= fail
        try:
            if self.delay is not None:
                self.delay.wait(20)
            if fail:
                raise CppError(UNAVAILABLE, "the stand-in was told to fail")
            if model not in self.models:
                raise CppError(NOT_FOUND, f"Servable not found for request: {model}")
            with self.lock:  # One status object a model.
                self.answered += 1
                return self.models[model].run(signature, **inputs)
        finally:
            with self.lock:
                self.open -= 1

    def Predict(self, request, context):
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        spec = request.model_spec
        try:
            outputs = self.run(spec.name, spec.signature_name, inputs)
        except CppError as error:
            context.abort(CODES[error.code], str(error))
        response = predict_pb2.PredictResponse()
        for key in request.output_filter or outputs:
            response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key]))
        return response

    def predict_over_rest(self, model: str, body: dict) -> dict:
        signature = body.get("signature_name", "serving_default")
        info = (
            self.models[model].signatures[signature] if model in self.models else None
        )
        if info is None:
            raise CppError(NOT_FOUND, f"Servable not found for request: {model}")
        ((name, tensor),) = info.inputs.items()
        dtype = tf.as_dtype(tensor.dtype)
        rows = [_from_json(row) for row in body["instances"]]
        try:
            x = np.array(rows, object if dtype == tf.string else dtype.as_numpy_dtype)
        except ValueError as error:
            raise CppError(3, str(error)) from error
        outputs = self.run(model, signature, {name: x})
        count = len(next(iter(outputs.values())))
        rows = [
            {key: _to_json(value[row]) for key, value in outputs.items()}
            for row in range(count)
        ]
        # Of a single output the server sends the bare values.
        if len(outputs) == 1:
            rows = [next(iter(row.values())) for row in rows]
        return {"predictions": rows}


def _from_json(row):
    if isinstance(row, dict) and row.keys() == {"b64"}:
        return base64.b64decode(row["b64"])
    return row


def _to_json(value):
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value.tolist()


def _handler(stand_in: StandIn):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model, _, verb = self.path.removeprefix("/v1/models/").partition(":")
            try:
                if verb != "predict":
                    raise CppError(3, f"Malformed request: POST {self.path}")
                self._send(200, stand_in.predict_over_rest(model, body))
            except CppError as error:
                self._send(HTTP_STATUS.get(error.code, 500), {"error": str(error)})

        def _send(self, status, answer):
            data = json.dumps(answer).encode()
            with contextlib.suppress(BrokenPipeError):  # The client gave up.
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *arguments):
            pass

    return Handler


@contextlib.contextmanager
def serve(directories: dict):
    """Serves on free ports of the loopback interface.

    Yields:
        The StandIn, with `grpc_address` and `rest_url`.
    """
    stand_in = StandIn(directories)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        stand_in, server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(stand_in))
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    stand_in.grpc_address = f"127.0.0.1:{port}"
    stand_in.rest_url = f"http://127.0.0.1:{web.server_address[1]}"
    try:
        yield stand_in
    finally:
        server.stop(None).wait()
        web.shutdown()
        web.server_close()
        thread.join()
