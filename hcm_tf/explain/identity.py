"""What a set of weights is called: links, sessions and names belong to one."""

import hashlib

import keras
import numpy as np


def model_hash(generator: keras.Model) -> str:
    """Names the weights: 16 hexadecimal digits of their SHA-256."""
    digest = hashlib.sha256()
    for weight in generator.weights:
        digest.update(np.ascontiguousarray(weight.numpy(), "<f4").tobytes())
    return digest.hexdigest()[:16]
