"""Images from a model server over gRPC (TensorFlow Serving's PredictionService)."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from export.prediction import (
    INPUT,
    LABEL,
    LABEL_SIGNATURE,
    MAXIMUM_MESSAGE,
    OUTPUT,
    SIGNATURE,
    Predict,
    Unavailable,
    padded,
    shown,
)
from hcm_tf.errors import UserError


def grpc_predict(address: str, model: str, classes: Sequence[str] = ()) -> Predict:
    """Requests over gRPC.

    Args:
        address: host:port.
        model: its name at the server.
        classes: that all images have, by name.

    Returns:
        The function that asks; it raises Unavailable, TimeoutError, or UserError where
        asking again does not help.

    Raises:
        UserError: no port.
    """
    if ":" not in address:
        raise UserError(f"--url={address} lacks the port: {address}:8500")
    import grpc

    from export import grpc_messages

    channel = grpc.insecure_channel(
        address,
        options=[
            ("grpc.max_receive_message_length", MAXIMUM_MESSAGE),
            ("grpc.max_send_message_length", MAXIMUM_MESSAGE),
            # The pauses are `draw`'s: the channel must not wait longer than they do.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ],
    )
    # Bytes in, bytes out: an answer that cannot be read is then an error of ours.
    call = channel.unary_unary(grpc_messages.PREDICT)
    describe = channel.unary_unary(grpc_messages.METADATA)
    texts: list[str] = []  # Known once the server has said how many it takes.

    def predict(seeds: np.ndarray, seconds: float) -> list[bytes]:
        nonlocal texts
        end = time.monotonic() + seconds
        # No output_filter: the server batches requests for all outputs alone.
        inputs, signature = {INPUT: seeds}, SIGNATURE
        if classes:
            texts = texts or padded(classes, labels(seconds))
            inputs[LABEL] = np.array([texts] * len(seeds), object)
            signature = LABEL_SIGNATURE
        request = grpc_messages.request(model, signature, inputs)
        return ask(
            *(call, request, end - time.monotonic()),
            lambda answer: grpc_messages.strings(answer, OUTPUT),
        )

    def labels(seconds: float) -> int | None:
        def size(answer: bytes) -> int | None:
            found = grpc_messages.sizes(answer, LABEL_SIGNATURE, LABEL)
            return found[-1] if found else None

        return ask(describe, grpc_messages.metadata_request(model), seconds, size)

    def ask(method: Callable, request: bytes, seconds: float, read: Callable) -> Any:
        try:
            response = method(request, timeout=max(0.001, seconds))
        except grpc.RpcError as error:
            reason = shown(error.details())
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise Unavailable(reason) from error
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from error
            raise UserError(
                f"{address} answered {error.code().name}: {reason}"
            ) from error
        try:
            return read(response)
        except ValueError as error:
            raise UserError(f"{address} sent {shown(error)}") from error

    return predict
