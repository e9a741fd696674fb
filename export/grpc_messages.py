"""The messages of TensorFlow Serving that the client needs, and no more.

The package `tensorflow-serving-api` has them all, and imports TensorFlow with them:
seconds, for a client that has no use for it. Here are the fields that the client
writes or reads, under their numbers in `predict.proto`, `get_model_metadata.proto`,
`model.proto`, `meta_graph.proto`, `tensor.proto` and `tensor_shape.proto`, which is all
that counts on the wire. They live in a pool of their own, so that both can be used in
one process.
"""

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
SIGNATURES = "signature_def"  # The only metadata there are.
# Numbers in types.proto.
INT32, STRING = 3, 7

_Field = descriptor_pb2.FieldDescriptorProto
# Message -> field -> number and type: a scalar's, or the name of a message.
_MESSAGES = {
    "Dimension": {"size": (1, _Field.TYPE_INT64)},
    "Shape": {"dim": (2, "Dimension")},
    "Tensor": {
        "dtype": (1, _Field.TYPE_INT32),  # An enumeration, which is written like it.
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, _Field.TYPE_BYTES),
        "string_val": (8, _Field.TYPE_BYTES),
    },
    "Model": {
        "name": (1, _Field.TYPE_STRING),
        "signature_name": (3, _Field.TYPE_STRING),
    },
    # A map is written as a list of such entries.
    "NamedTensor": {"key": (1, _Field.TYPE_STRING), "value": (2, "Tensor")},
    "PredictRequest": {"model_spec": (1, "Model"), "inputs": (2, "NamedTensor")},
    "PredictResponse": {"outputs": (1, "NamedTensor")},
    "GetModelMetadataRequest": {
        "model_spec": (1, "Model"),
        "metadata_field": (2, _Field.TYPE_STRING),
    },
    "GetModelMetadataResponse": {"metadata": (2, "NamedAny")},
    "NamedAny": {"key": (1, _Field.TYPE_STRING), "value": (2, "Any")},
    "Any": {"value": (2, _Field.TYPE_BYTES)},  # A SignatureDefMap, serialised.
    "SignatureDefMap": {"signature_def": (1, "NamedSignature")},
    "NamedSignature": {"key": (1, _Field.TYPE_STRING), "value": (2, "Signature")},
    "Signature": {"inputs": (1, "NamedInfo")},
    "NamedInfo": {"key": (1, _Field.TYPE_STRING), "value": (2, "Info")},
    "Info": {"tensor_shape": (3, "Shape")},
}
_REPEATED = {
    *("dim", "string_val", "inputs", "outputs"),
    *("metadata_field", "metadata", "signature_def"),
}


def _classes() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(
        name="predict.proto", package="client", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            field = message.field.add(name=field_name, number=number)
            repeated = field_name in _REPEATED
            field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".client.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"client.{name}")
        )
        for name in _MESSAGES
    }


_CLASSES = _classes()


def request(model: str, signature: str, inputs: dict[str, np.ndarray]) -> bytes:
    """A serialised PredictRequest.

    Args:
        model: name of the model.
        signature: name of its signature.
        inputs: by name: int32, or objects that are texts, of any shape.
    """
    message = _CLASSES["PredictRequest"]()
    message.model_spec.name = model
    message.model_spec.signature_name = signature
    for name, values in inputs.items():
        tensor = message.inputs.add(key=name).value
        for size in values.shape:
            tensor.tensor_shape.dim.add(size=size)
        if values.dtype == object:
            tensor.dtype = STRING
            tensor.string_val.extend(text.encode() for text in values.flat)
        else:
            tensor.dtype = INT32
            tensor.tensor_content = values.astype("<i4").tobytes()
    return message.SerializeToString()


def metadata_request(model: str) -> bytes:
    """A serialised GetModelMetadataRequest.

    Args:
        model: name of the model.
    """
    message = _CLASSES["GetModelMetadataRequest"]()
    message.model_spec.name = model
    message.metadata_field.append(SIGNATURES)
    return message.SerializeToString()


def sizes(response: bytes, signature: str, name: str) -> list[int] | None:
    """Those of an input in a serialised GetModelMetadataResponse, -1 for any.

    Returns:
        None: the model has no such signature with such an input.

    Raises:
        ValueError: no such message, or one without signatures.
    """
    message = _read("GetModelMetadataResponse", response)
    found = {entry.key: entry.value.value for entry in message.metadata}
    if SIGNATURES not in found:
        raise ValueError("no signatures")
    shapes = [
        entry.value.tensor_shape
        for one in _read("SignatureDefMap", found[SIGNATURES]).signature_def
        for entry in one.value.inputs
        if (one.key, entry.key) == (signature, name)
    ]
    return [one.size for one in shapes[0].dim] if shapes else None


def strings(response: bytes, name: str) -> list[bytes]:
    """The values of a string output in a serialised PredictResponse.

    Raises:
        ValueError: no such message, or no such output of strings.
    """
    message = _read("PredictResponse", response)
    # Of equal keys in a map the last one counts.
    tensors = {entry.key: entry.value for entry in message.outputs}
    if name not in tensors or tensors[name].dtype != STRING:
        raise ValueError(f"no strings named {name}, but {sorted(tensors) or 'nothing'}")
    return list(tensors[name].string_val)


def _read(name: str, contents: bytes) -> object:
    message = _CLASSES[name]()
    try:
        message.ParseFromString(contents)
    # protobuf's DecodeError, whose base differs between its implementations.
    except Exception as error:
        raise ValueError(f"no {name}") from error
    return message
