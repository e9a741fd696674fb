"""Answers `serving_default` by OpenVINO: python openvino_reader.py MODEL IN OUT

Runs in an environment of its own with openvino and numpy. OpenVINO reads a SavedModel
without TensorFlow. It has no NthElement, the k-th smallest value along the last axis,
and no SparseTensorDenseMatMul, so this file says what they mean in its operations.
"""

import sys

import numpy as np
import openvino
from openvino import opset11 as operations
from openvino.frontend import ConversionExtension


def nth_element(node):
    values, n = node.get_input(0), node.get_input(1)
    size = operations.gather(
        operations.shape_of(values, output_type="i64"),
        operations.constant(np.int64(-1)),
        operations.constant(np.int64(0)),
    )
    n = operations.convert(n, "i64")
    k = operations.subtract(size, n)  # The n-th smallest is the (size - n)-th largest.
    largest = operations.topk(values, k, -1, "max", "value").output(0)
    last = operations.subtract(k, operations.constant(np.int64(1)))
    return operations.gather(largest, last, operations.constant(np.int64(-1))).outputs()


def sparse_tensor_dense_mat_mul(node):
    indices, values, shape, dense = (node.get_input(i) for i in range(4))
    zeros = operations.broadcast(operations.constant(np.float32(0)), shape)
    full = operations.scatter_nd_update(zeros, indices, values)
    return operations.matmul(full, dense, False, False).outputs()


core = openvino.Core()
core.add_extension(ConversionExtension("NthElement", nth_element))
core.add_extension(
    ConversionExtension("SparseTensorDenseMatMul", sparse_tensor_dense_mat_mul)
)
x = np.load(sys.argv[2])
model = core.read_model(sys.argv[1])
# With a batch left open, OpenVINO 2026.4's transposed convolutions return garbage.
model.reshape(x.shape)
model = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
np.save(sys.argv[3], model(x)[model.output(0)])
