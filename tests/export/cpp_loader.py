"""TensorFlow's own C++ SavedModel loader, through the C API in the wheel.

`TF_LoadSessionFromSavedModel` calls `tensorflow::LoadSavedModel`, which is what
TensorFlow Serving loads a version with. No Python of the model's takes part.
"""

import ctypes
import pathlib

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

INVALID_ARGUMENT = 3
STRING_BYTES = 24  # sizeof(TF_TString)


class CppError(Exception):
    """A status other than OK, with its code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.text = code, message


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    )


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def _library() -> ctypes.CDLL:
    # Importing tensorflow has loaded it; this only finds it again.
    library = ctypes.CDLL(
        str(pathlib.Path(tf.__file__).parent / "libtensorflow_cc.so.2")
    )
    for name in (
        "TF_NewStatus",
        "TF_NewGraph",
        "TF_NewSessionOptions",
        "TF_NewBuffer",
        "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName",
        "TF_AllocateTensor",
        "TF_TensorData",
    ):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("TF_Message", "TF_StringGetDataPointer"):
        getattr(library, name).restype = ctypes.c_char_p
    library.TF_StringGetDataPointer.restype = ctypes.c_void_p
    for name in ("TF_TensorByteSize", "TF_StringGetSize"):
        getattr(library, name).restype = ctypes.c_size_t
    library.TF_Dim.restype = ctypes.c_int64
    return library


class CppModel:
    """A loaded SavedModel.

    Args:
        directory: one version.

    Raises:
        CppError: it does not load.
    """

    def __init__(self, directory) -> None:
        self.library = _library()
        self.status = ctypes.c_void_p(self.library.TF_NewStatus())
        self.graph = ctypes.c_void_p(self.library.TF_NewGraph())
        options = ctypes.c_void_p(self.library.TF_NewSessionOptions())
        meta_graph = ctypes.c_void_p(self.library.TF_NewBuffer())
        self.session = ctypes.c_void_p(
            self.library.TF_LoadSessionFromSavedModel(
                options,
                None,
                str(directory).encode(),
                (ctypes.c_char_p * 1)(b"serve"),
                1,
                self.graph,
                meta_graph,
                self.status,
            )
        )
        self._check()
        buffer = ctypes.cast(meta_graph, ctypes.POINTER(_Buffer)).contents
        self.meta_graph = meta_graph_pb2.MetaGraphDef.FromString(
            ctypes.string_at(buffer.data, buffer.length)
        )
        self.library.TF_DeleteBuffer(meta_graph)
        self.library.TF_DeleteSessionOptions(options)

    @property
    def signatures(self) -> dict:
        """SignatureDef by name, without the loader's own."""
        found = self.meta_graph.signature_def
        return {name: found[name] for name in found if not name.startswith("__")}

    def run(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Answers one request.

        Raises:
            CppError: the session returned an error.
            KeyError: no such signature or input.
        """
        definition = self.signatures[signature]
        fed = [self._tensor(np.asarray(value)) for value in inputs.values()]
        feeds = [self._output(definition.inputs[name].name) for name in inputs]
        names = sorted(definition.outputs)
        fetches = [self._output(definition.outputs[name].name) for name in names]
        fetched = (ctypes.c_void_p * len(fetches))()
        self.library.TF_SessionRun(
            self.session,
            None,
            (_Output * len(feeds))(*feeds),
            (ctypes.c_void_p * len(fed))(*fed),
            len(fed),
            (_Output * len(fetches))(*fetches),
            fetched,
            len(fetches),
            None,
            0,
            None,
            self.status,
        )
        for tensor in fed:
            self.library.TF_DeleteTensor(ctypes.c_void_p(tensor))
        self._check()
        return {
            name: self._array(ctypes.c_void_p(tensor))
            for name, tensor in zip(names, fetched, strict=True)
        }

    def close(self) -> None:
        self.library.TF_CloseSession(self.session, self.status)
        self.library.TF_DeleteSession(self.session, self.status)
        self.library.TF_DeleteGraph(self.graph)

    def _check(self) -> None:
        code = self.library.TF_GetCode(self.status)
        if code:
            raise CppError(code, self.library.TF_Message(self.status).decode())

    def _output(self, tensor_name: str) -> _Output:
        operation, index = tensor_name.split(":")
        found = self.library.TF_GraphOperationByName(self.graph, operation.encode())
        return _Output(found, int(index))

    def _tensor(self, array: np.ndarray) -> int:
        strings = array.dtype.kind in "OS"
        dtype = tf.string if strings else tf.as_dtype(array.dtype)
        size = array.size * STRING_BYTES if strings else array.nbytes
        tensor = self.library.TF_AllocateTensor(
            dtype.as_datatype_enum,
            (ctypes.c_int64 * array.ndim)(*array.shape),
            array.ndim,
            ctypes.c_size_t(size),
        )
        data = self.library.TF_TensorData(ctypes.c_void_p(tensor))
        if not strings:
            contiguous = np.ascontiguousarray(array)
            ctypes.memmove(data, contiguous.ctypes.data, size)
            return tensor
        for index, value in enumerate(array.ravel()):
            at = ctypes.c_void_p(data + index * STRING_BYTES)
            self.library.TF_StringInit(at)
            self.library.TF_StringCopy(at, bytes(value), ctypes.c_size_t(len(value)))
        return tensor

    def _array(self, tensor: ctypes.c_void_p) -> np.ndarray:
        dtype = tf.as_dtype(self.library.TF_TensorType(tensor))
        rank = self.library.TF_NumDims(tensor)
        shape = [self.library.TF_Dim(tensor, axis) for axis in range(rank)]
        data = self.library.TF_TensorData(tensor)
        if dtype == tf.string:
            strings = []
            for index in range(int(np.prod(shape))):
                at = ctypes.c_void_p(data + index * STRING_BYTES)
                pointer = self.library.TF_StringGetDataPointer(at)
                length = self.library.TF_StringGetSize(at)
                strings.append(ctypes.string_at(pointer, length))
            array = np.array(strings, object).reshape(shape)
        else:
            size = self.library.TF_TensorByteSize(tensor)
            flat = np.frombuffer(ctypes.string_at(data, size), dtype.as_numpy_dtype)
            array = flat.reshape(shape)
        self.library.TF_DeleteTensor(tensor)
        return array
