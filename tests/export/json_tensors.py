"""JSON requests and answers of the stand-in, by the rules of the real server.

Read off TensorFlow Serving's `json_tensor.cc`: which JSON becomes which tensor, what is
refused, and how tensors are written, in rows ("instances", "predictions") or in columns
("inputs", "outputs"). Numbers are written as Python does, and the spelling of messages
about values is not that server's.
"""

import base64
import binascii
import json

import numpy as np
import tensorflow as tf
from cpp_loader import INVALID_ARGUMENT, CppError

LARGEST_EXACT_INTEGER = {tf.float32: 2**24 - 1, tf.float64: 2**53 - 1}


def _refuse(message: str) -> CppError:
    return CppError(INVALID_ARGUMENT, message)


def parse(body: bytes) -> dict:
    """The JSON object of a request.

    Raises:
        CppError: INVALID_ARGUMENT; it is none, or names its signature by no string.
    """
    if not body:
        raise _refuse("JSON Parse error: The document is empty")
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _refuse(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise _refuse(f"JSON Value: {request} Is not object")
    if not isinstance(request.get("signature_name", ""), str):
        raise _refuse("'signature_name' key must be a string value.")
    return request


def tensors(request: dict, infos: dict) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs of a parsed request, and whether they came in rows.

    Args:
        request: of `parse`.
        infos: TensorInfo of each input of the signature.

    Raises:
        CppError: INVALID_ARGUMENT.
    """
    if "instances" in request and "inputs" in request:
        raise _refuse(
            "Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist"
        )
    if "instances" in request:
        return _of_rows(request["instances"], infos), True
    if "inputs" in request:
        return _of_columns(request["inputs"], infos), False
    raise _refuse("Missing 'inputs' or 'instances' key")


def _of_rows(rows: object, infos: dict) -> dict[str, np.ndarray]:
    if not isinstance(rows, list):
        raise _refuse("Excepting 'instances' to be an list/array")
    if not rows:
        raise _refuse("No values in 'instances' array")
    named = _is_object(rows[0])
    if not named and len(infos) > 1:
        raise _refuse("instances is a plain list, but expecting list of objects")
    values = {name: [] for name in infos}
    for index, row in enumerate(rows):
        if _is_object(row) != named:
            raise _refuse(f"Expecting {'object' if named else 'value/list'} at {index}")
        row = row if named else {next(iter(infos)): row}
        if row.keys() != infos.keys():
            raise _refuse(
                f"Failed to process element: {index} of 'instances' list. keys must "
                f"be equal to: {','.join(sorted(infos))}"
            )
        for name, value in row.items():
            values[name].append(_tensor(value, infos[name]))
    for name, parts in values.items():
        if len({part.shape for part in parts}) > 1:
            raise _refuse(f"Expecting shape {list(parts[0].shape)} of every {name}")
    return {name: np.stack(parts) for name, parts in values.items()}


def _of_columns(columns: object, infos: dict) -> dict[str, np.ndarray]:
    if not _is_object(columns):
        if len(infos) > 1:
            raise _refuse("inputs is a plain value/list, but expecting an object")
        columns = {next(iter(infos)): columns}
    for name in infos:
        if name not in columns:
            raise _refuse(f"Missing named input: {name} in 'inputs' object.")
    return {name: _tensor(columns[name], info) for name, info in infos.items()}


def _is_object(value: object) -> bool:
    """Whether it holds named values; base64 data look like an object."""
    if not isinstance(value, dict):
        return False
    return value.keys() != {"b64"} or not isinstance(value["b64"], str)


def _tensor(value: object, info) -> np.ndarray:
    """One dense tensor: lists nested to equal depth and length."""
    dtype = tf.as_dtype(info.dtype)
    shape, at = [], value
    while isinstance(at, list):
        shape.append(len(at))
        at = at[0] if at else None
    flat = []
    _flatten(value, shape, dtype, flat)
    kind = object if dtype == tf.string else dtype.as_numpy_dtype
    array = np.empty(len(flat), kind)
    array[:] = flat
    return array.reshape(shape)


def _flatten(value: object, shape: list[int], dtype: tf.DType, flat: list) -> None:
    if not isinstance(value, list):
        if shape:
            raise _refuse(f"JSON Value: {value} found at incorrect level")
        flat.append(_scalar(value, dtype))
        return
    if not shape:
        raise _refuse("Encountered list at unexpected level")
    if len(value) != shape[0]:
        raise _refuse(
            f"Encountered list at unexpected size: {len(value)} expected: {shape[0]}"
        )
    for part in value:
        _flatten(part, shape[1:], dtype, flat)


def _scalar(value: object, dtype: tf.DType) -> object:
    """A JSON value as its type; 1.0 is no integer, and true is no number."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if dtype == tf.string:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and not _is_object(value):
            try:
                return base64.b64decode(value["b64"], validate=True)
            except (binascii.Error, ValueError) as error:
                raise _refuse("Unable to base64 decode") from error
    elif dtype.is_integer and whole and dtype.min <= value <= dtype.max:
        return value
    elif dtype.is_floating and (whole or isinstance(value, float)):
        exact = not whole or abs(value) <= LARGEST_EXACT_INTEGER[dtype]
        if exact and not float(dtype.max) < abs(value) < np.inf:
            return value
        raise _refuse(
            f"Cannot convert JSON value: {value} to {dtype.name} without loss of "
            "precision."
        )
    raise _refuse(f"JSON Value: {value} is not of expected type: {dtype.name}")


def answer(outputs: dict[str, np.ndarray], in_rows: bool) -> dict:
    """What is sent back; of a single output the bare values."""
    if not in_rows:
        columns = {name: _written(name, list(value)) for name, value in outputs.items()}
        return {"outputs": columns if len(columns) > 1 else _only(columns)}
    count = len(_only(outputs) if len(outputs) == 1 else next(iter(outputs.values())))
    rows = [
        {name: _written(name, value[row]) for name, value in outputs.items()}
        for row in range(count)
    ]
    return {"predictions": rows if len(outputs) > 1 else [_only(row) for row in rows]}


def _only(values: dict) -> object:
    (value,) = values.values()
    return value


def _written(name: str, value: object) -> object:
    if isinstance(value, list):
        return [_written(name, part) for part in value]
    if isinstance(value, bytes):
        # Only outputs with such a name are taken for bytes.
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode()
    return np.asarray(value).tolist()
