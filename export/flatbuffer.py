"""TFLite files as data: which operations they use, metadata, int8 weights."""

import json

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

METADATA = "hcm_tf"
# Smaller tensors are not worth a scale for each channel.
LEAST_ELEMENTS = 1024
# The layer that draws the image stays in float32: it is small, and its rounding would
# reach every pixel.
MOST_IMAGE_CHANNELS = 4
# Operations that multiply int8, and their first version that takes float32 inputs and
# a scale for each output channel.
DYNAMIC_VERSIONS = {
    schema.BuiltinOperator.CONV_2D: 5,
    schema.BuiltinOperator.FULLY_CONNECTED: 12,
    schema.BuiltinOperator.TRANSPOSE_CONV: 2,
}


def custom_operations(contents: bytes) -> list[str]:
    """Names of the operations that are not TFLite builtins (Flex is one)."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(contents))
    return sorted(
        code.customCode.decode()
        for code in model.operatorCodes
        if code.builtinCode == schema.BuiltinOperator.CUSTOM
    )


def with_metadata(contents: bytes, metadata: dict) -> bytes:
    """Adds a JSON metadata buffer named METADATA."""
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(contents))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = METADATA.encode()
    entry.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def with_int8_weights(contents: bytes, least_share: float = 0.0) -> tuple[bytes, int]:
    """Turns float16 weights into int8 with a scale for each output channel.

    A float16 model holds its weights in float16, each followed by a DEQUANTIZE to
    float32. The same operation reads int8, so that the weights take a quarter of
    float32's space while every activation, and so every comparison with a top-k
    threshold, stays in float32.

    Args:
        contents: a model converted to float16.
        least_share: tensors that hold less than this fraction of all weights stay
            float16.

    Returns:
        The new model, and how many tensors became int8.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(contents))
    quantized = {}
    least = max(LEAST_ELEMENTS, least_share * _count_float16(model))
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            if code != schema.BuiltinOperator.DEQUANTIZE:
                continue
            tensor = graph.tensors[operator.inputs[0]]
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT16 or data is None:
                continue
            if tensor.buffer not in quantized:
                weights = np.frombuffer(bytes(data), np.float16)
                if weights.size < least:
                    continue
                weights = weights.reshape(tensor.shape).astype("float32")
                quantized[tensor.buffer] = quantize(weights)
            _set_int8(tensor, *quantized[tensor.buffer][1:])
    for index, (values, _, _) in quantized.items():
        model.buffers[index].data = values.reshape(-1).view(np.uint8)
    # DEQUANTIZE reads int8 from its version 2 on, with channels from 5.
    for code in model.operatorCodes:
        if code.builtinCode == schema.BuiltinOperator.DEQUANTIZE:
            code.version = max(code.version, 5)
    contents = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    return contents, len(quantized)


def with_dynamic_int8(contents: bytes, after_selections: int = 0) -> bytes:
    """Lets convolutions and dense layers multiply int8 (dynamic-range quantisation).

    Their weights become int8 with a scale for each output channel, and the runtime
    rounds their inputs to int8 as it goes. A rounding below a top-k selection can make
    another unit win, and a unit that changes place shows more than any rounding; so the
    lower levels may stay in float32.

    Args:
        contents: a model converted to float32.
        after_selections: leave everything before this many top-k selections alone.

    Returns:
        The new model.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(contents))
    quantized = {}
    for graph in model.subgraphs:
        selections = 0
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex].builtinCode
            selections += _is_selection(operator, code, graph)
            if code not in DYNAMIC_VERSIONS or selections < after_selections:
                continue
            tensor = graph.tensors[operator.inputs[1]]
            data = model.buffers[tensor.buffer].data
            if data is None:
                continue  # A product of two activations.
            if tensor.shape[0] <= MOST_IMAGE_CHANNELS:
                continue
            if tensor.buffer not in quantized:
                weights = np.frombuffer(bytes(data), np.float32).reshape(tensor.shape)
                quantized[tensor.buffer] = quantize(weights)
            _set_int8(tensor, *quantized[tensor.buffer][1:])
            if code == schema.BuiltinOperator.FULLY_CONNECTED:
                operator.builtinOptions.asymmetricQuantizeInputs = True
    for index, (values, _, _) in quantized.items():
        model.buffers[index].data = values.reshape(-1).view(np.uint8)
    for code in model.operatorCodes:
        version = DYNAMIC_VERSIONS.get(code.builtinCode, 0)
        code.version = max(code.version, version)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_selection(
    operator: schema.OperatorT, code: int, graph: schema.SubGraphT
) -> bool:
    """Whether an operation is what a top-k selection ends in.

    That is which values of a map reach the threshold; the classes that a seed decides
    are compared too, in some signatures alone, but are no map.
    """
    if code != schema.BuiltinOperator.GREATER_EQUAL:
        return False
    return len(graph.tensors[operator.inputs[0]].shape) > 2


def _set_int8(tensor: schema.TensorT, scales: np.ndarray, axis: int) -> None:
    tensor.type = schema.TensorType.INT8
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = scales
    tensor.quantization.zeroPoint = np.zeros(len(scales), "int64")
    tensor.quantization.quantizedDimension = axis


def _count_float16(model: schema.ModelT) -> int:
    """Values in all float16 tensors; signatures share buffers, which count once."""
    sizes = {
        tensor.buffer: len(model.buffers[tensor.buffer].data) // 2
        for graph in model.subgraphs
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.FLOAT16
        and model.buffers[tensor.buffer].data is not None
    }
    return sum(sizes.values())


def quantize(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """int8 values, scales and the axis they belong to.

    Output channels come first in convolutions and dense layers, last in the batched
    product of the locations' dictionaries.
    """
    axis = 2 if weights.ndim == 3 else 0
    others = tuple(index for index in range(weights.ndim) if index != axis)
    scales = np.maximum(np.abs(weights).max(others), 1e-12) / 127.0
    shape = [1] * weights.ndim
    shape[axis] = -1
    values = np.clip(np.rint(weights / scales.reshape(shape)), -127, 127)
    return values.astype("int8"), scales.astype("float32"), axis
