"""How page and server exchange arrays: a JSON header, then raw little-endian values.

A message is the header's length as uint32, the header, padded by spaces to a multiple
of four bytes, and the arrays in the header's order, each padded by zeros likewise. The
header is an object whose `arrays` lists `[name, type, length]`, type "float32",
"uint32" or, in model files only, "float16".
"""

import json
import struct
from typing import Any

import numpy as np

TYPES = {"float32": "<f4", "uint32": "<u4"}
PACKED = {**TYPES, "float16": "<f2"}
MOST_ARRAYS = 64


def pack(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """A message of plain values and flat arrays of the types of PACKED."""
    listed = [[name, array.dtype.name, array.size] for name, array in arrays.items()]
    header = json.dumps({**values, "arrays": listed}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    parts = [
        np.ascontiguousarray(array, PACKED[array.dtype.name]).tobytes()
        for array in arrays.values()
    ]
    padded = (part + b"\0" * (-len(part) % 4) for part in parts)
    return struct.pack("<I", len(header)) + header + b"".join(padded)


def unpack(body: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Plain values and arrays of a message.

    Raises:
        ValueError: it is no message, says so in one line.
    """
    if len(body) < 4:
        raise ValueError("the message is too short")
    length = struct.unpack("<I", body[:4])[0]
    if length > len(body) - 4:
        raise ValueError("the message's header is cut off")
    try:
        header = json.loads(body[4 : 4 + length])
    except (ValueError, RecursionError) as error:
        raise ValueError("the message's header is no JSON") from error
    listed = header.pop("arrays", []) if isinstance(header, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_ARRAYS:
        raise ValueError("the message's header lists no arrays")
    arrays, start = {}, 4 + length
    for entry in listed:
        if not _describes_array(entry):
            raise ValueError("the message's header describes an array wrongly")
        name, kind, size = entry
        end = start + 4 * size
        if end > len(body):
            raise ValueError(f"the array {name[:20]!r} is cut off")
        arrays[name] = np.frombuffer(body[start:end], TYPES[kind])
        start = end
    if start != len(body):
        raise ValueError("the message is longer than its header says")
    return header, arrays


def _describes_array(entry: Any) -> bool:
    return (
        isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[0], str)
        and isinstance(entry[1], str)
        and entry[1] in TYPES
        and type(entry[2]) is int
        and entry[2] >= 0
    )
