"""A stand-in for a model server: NOT TensorFlow Serving, a test double.

It answers the documented protocol (gRPC Predict; REST v1 predict, status and metadata)
on the loopback interface, by the same C++ loader. What it refuses, and with which
status, was read off the real server's source: `http_rest_api_handler.cc`,
`json_tensor.cc`, `predict_util.cc`, `get_model_status_impl.cc`, `batching_session.cc`.
It was never compared with the real one running.

What it is not: it shares batches between as many callers as it is told to wait for, by
no clock, and does not load, reload, label or unload versions, warm up, classify or
regress, stream, authenticate, compress or measure; the words of its messages are partly
its own.
"""

import concurrent.futures
import contextlib
import dataclasses
import http.server
import json
import re
import threading

import grpc
import json_tensors
import numpy as np
import tensorflow as tf
from cpp_loader import INVALID_ARGUMENT, CppError, CppModel
from google.protobuf import json_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from export.prediction import maximum_batch

NOT_FOUND, FAILED_PRECONDITION, UNIMPLEMENTED, UNAVAILABLE = 5, 9, 12, 14
CODES = {code.value[0]: code for code in grpc.StatusCode}
HTTP_STATUS = {
    INVALID_ARGUMENT: 400,
    4: 504,
    NOT_FOUND: 404,
    8: 429,
    FAILED_PRECONDITION: 400,
    11: 400,
    UNIMPLEMENTED: 501,
    UNAVAILABLE: 503,
}
VERSION = 1
DEFAULT_SIGNATURE = "serving_default"
PREDICT_PATH = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/(\d+))?:(classify|regress|predict)", re.I
)
STATUS_PATH = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+))?(/metadata)?", re.I
)


@dataclasses.dataclass
class Batch:
    """Requests that are run as one, and what became of them.

    Attributes:
        tasks: the inputs of each.
        outputs: of all, their rows in the order of the tasks.
        error: of all.
    """

    tasks: list[dict] = dataclasses.field(default_factory=list)
    outputs: dict = dataclasses.field(default_factory=dict)
    error: CppError | None = None
    done: threading.Event = dataclasses.field(default_factory=threading.Event)

    def merged(self) -> dict:
        """The inputs of all.

        Raises:
            CppError: their shapes differ beyond the rows; no caller is answered then.
        """
        for name, first in self.tasks[0].items():
            if any(task[name].shape[1:] != first.shape[1:] for task in self.tasks):
                raise CppError(
                    FAILED_PRECONDITION,
                    f"Tensors with name '{name}' from different tasks have different "
                    "shapes and padding is turned off.",
                )
        return {
            name: np.concatenate([task[name] for task in self.tasks])
            for name in self.tasks[0]
        }

    def part(self, place: int) -> dict:
        """The outputs of one task, or the error of all."""
        if self.error is not None:
            raise CppError(self.error.code, self.error.text)
        sizes = [len(next(iter(task.values()))) for task in self.tasks]
        start = sum(sizes[:place])
        rows = slice(start, start + sizes[place])
        return {name: value[rows] for name, value in self.outputs.items()}


class StandIn(prediction_service_pb2_grpc.PredictionServiceServicer):
    """The models, and what the tests want to know or to provoke.

    Attributes:
        maximum_batch: rows of a request for all outputs; None: as without batching.
        callers: requests that share a batch, which must be of one signature.
        failures: how many of the next requests are answered with UNAVAILABLE.
        delay: an event that requests wait for; None: they do not.
        most_at_once: the largest number of requests that were open together.
        sizes: rows of each request that was answered.
    """

    def __init__(self, directories: dict) -> None:
        self.models = {name: CppModel(path) for name, path in directories.items()}
        self.lock = threading.Lock()
        self.open = 0
        self.reset()

    def reset(self) -> None:
        """As it was started, for the next test."""
        self.maximum_batch = maximum_batch()
        self.callers, self.batch = 1, Batch()
        self.failures, self.delay, self.most_at_once, self.sizes = 0, None, 0, []

    def model(self, name: str, version: int | None = None) -> CppModel:
        if name not in self.models or version not in (None, VERSION):
            which = "Latest" if version is None else "Specific"
            raise CppError(
                NOT_FOUND,
                f"Servable not found for request: {which}"
                f"({name}{'' if version is None else f', {version}'})",
            )
        return self.models[name]

    def run(
        self, model: CppModel, signature: str, inputs: dict, wanted: list[str]
    ) -> dict:
        """What both protocols share, once the inputs are tensors."""
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
            definition = _signature(model, signature, FAILED_PRECONDITION)
            _check_names(definition, inputs, wanted)
            rows = self._rows(definition, inputs, wanted)
            named = signature or DEFAULT_SIGNATURE
            if rows is None:
                with self.lock:  # One status object a model.
                    outputs = model.run(named, **inputs)
            else:
                outputs = self._share(model, named, inputs)
            self.sizes.append(rows)
            return {name: outputs[name] for name in wanted or outputs}
        finally:
            with self.lock:
                self.open -= 1

    def _rows(self, definition, inputs: dict, wanted: list[str]) -> int | None:
        """The rows of a request, if it would go through the batcher.

        Raises:
            CppError: INVALID_ARGUMENT, more than fit a batch.
        """
        # Requests for other outputs than the signature's go around the batcher.
        filtered = bool(wanted) and {*wanted} != {*definition.outputs}
        if self.maximum_batch is None or filtered:
            return None
        if any(value.ndim == 0 for value in inputs.values()):
            raise CppError(
                INVALID_ARGUMENT,
                "Batching Run() input tensors must have at least one dimension",
            )
        rows = len(next(iter(inputs.values())))
        if rows > self.maximum_batch:
            raise CppError(
                INVALID_ARGUMENT,
                f"Task size {rows} is larger than maximum input batch size "
                f"{self.maximum_batch}",
            )
        return rows

    def _share(self, model: CppModel, signature: str, inputs: dict) -> dict:
        """Waits until a batch has a request of every caller, and runs it."""
        with self.lock:
            batch, place = self.batch, len(self.batch.tasks)
            batch.tasks.append(inputs)
            if place + 1 == self.callers:
                self.batch = Batch()
                try:
                    batch.outputs = model.run(signature, **batch.merged())
                except CppError as error:
                    batch.error = error
                batch.done.set()
        if not batch.done.wait(20):
            raise CppError(UNAVAILABLE, "the other callers did not come")
        return batch.part(place)

    def GetModelMetadata(self, request, context):
        spec = request.model_spec
        try:
            return _metadata(spec.name, self.model(spec.name))
        except CppError as error:
            context.abort(CODES[error.code], error.text)

    def Predict(self, request, context):
        spec = request.model_spec
        try:
            if not request.HasField("model_spec"):
                raise CppError(INVALID_ARGUMENT, "Missing ModelSpec")
            version = spec.version.value if spec.HasField("version") else None
            inputs = {key: _array(key, value) for key, value in request.inputs.items()}
            outputs = self.run(
                self.model(spec.name, version),
                spec.signature_name,
                inputs,
                list(request.output_filter),
            )
        except CppError as error:
            context.abort(CODES[error.code], error.text)
        response = predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = VERSION
        response.model_spec.signature_name = spec.signature_name or DEFAULT_SIGNATURE
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response

    def post(self, path: str, body: bytes) -> dict:
        """Answers POST."""
        found = PREDICT_PATH.fullmatch(path)
        if found is None:
            raise CppError(INVALID_ARGUMENT, f"Malformed request: POST {path}")
        name, version, verb = found.groups()
        if verb.lower() != "predict":
            raise CppError(UNIMPLEMENTED, f"the stand-in does not {verb}")
        request = json_tensors.parse(body)
        model = self.model(name, int(version) if version else None)
        signature = request.get("signature_name", "")
        infos = _signature(model, signature, INVALID_ARGUMENT).inputs
        inputs, in_rows = json_tensors.tensors(request, infos)
        return json_tensors.answer(self.run(model, signature, inputs, []), in_rows)

    def get(self, path: str) -> dict:
        """Answers GET: the status of a model, or its signatures."""
        found = STATUS_PATH.fullmatch(path)
        if found is None:
            raise CppError(INVALID_ARGUMENT, f"Malformed request: GET {path}")
        name, version, metadata = found.groups()
        if not name:
            raise CppError(INVALID_ARGUMENT, "Missing model name in request.")
        version = int(version) if version else None
        if metadata:
            return _as_json(_metadata(name, self.model(name, version)))
        if version is not None and version != VERSION:
            raise CppError(
                NOT_FOUND, f"Could not find version {version} of model {name}"
            )
        if name not in self.models:
            raise CppError(NOT_FOUND, f"Could not find any versions of model {name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        status = response.model_version_status.add(version=VERSION, state="AVAILABLE")
        status.status.error_code = 0
        return _as_json(response)


def _array(key: str, tensor):
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise CppError(INVALID_ARGUMENT, f"tensor parsing error: {key}") from error


def _signature(model: CppModel, name: str, code: int):
    name = name or DEFAULT_SIGNATURE
    if name not in model.signatures:
        # The two protocols look it up in different places.
        raise CppError(
            code,
            f'Serving signature key "{name}" not found.'
            if code == FAILED_PRECONDITION
            else f'Serving signature name: "{name}" not found in signature def',
        )
    return model.signatures[name]


def _check_names(definition, inputs: dict, wanted: list[str]) -> None:
    if inputs.keys() != {*definition.inputs}:
        raise CppError(
            INVALID_ARGUMENT,
            f"input size does not match signature: {len(inputs)}!="
            f"{len(definition.inputs)} or other names: {sorted(inputs)} against "
            f"{sorted(definition.inputs)}",
        )
    for name in wanted:
        if name not in definition.outputs:
            raise CppError(
                INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {name} Outputs expected "
                f"to be in the set {sorted(definition.outputs)}.",
            )
    if len({*wanted}) < len(wanted):
        raise CppError(INVALID_ARGUMENT, "duplicate output tensor alias")


def _metadata(
    name: str, model: CppModel
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = VERSION
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, value in model.meta_graph.signature_def.items():
        signatures.signature_def[key].CopyFrom(value)
    response.metadata["signature_def"].Pack(signatures)
    return response


def _as_json(message) -> dict:
    return json_format.MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )


def _handler(stand_in: StandIn):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(lambda: stand_in.post(self.path, body))

        def do_GET(self):
            self._answer(lambda: stand_in.get(self.path))

        def _answer(self, action):
            try:
                self._send(200, action())
            except CppError as error:
                self._send(HTTP_STATUS.get(error.code, 500), {"error": error.text})

        def _send(self, status, answer):
            data = json.dumps(answer).encode()
            with contextlib.suppress(ConnectionError):  # The client gave up.
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
