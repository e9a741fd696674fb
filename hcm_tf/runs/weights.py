"""The networks of a run in one small file: what is published of a trained model.

A checkpoint holds optimizers and two generators, in float32; `weights.npz` holds what
`checkpoint.Run` does, in float16 (a zip archive of NumPy arrays, with checksums).
"""

import io
import pathlib
import zipfile

import keras
import numpy as np

from hcm_tf import files
from hcm_tf.errors import UserError
from hcm_tf.prior import Gaussian, Prior, Uniform, without_labels

FILE = "weights.npz"
LARGEST = float(np.finfo("float16").max)


def write(
    path: str | pathlib.Path,
    networks: dict[str, keras.Model],
    prior: Prior,
    step: int,
) -> None:
    """Writes networks in float16; prior and step as they are.

    Raises:
        UserError: a weight is too large for float16.
        OSError: the file cannot be written.
    """
    values = {}
    for name, network in networks.items():
        for number, variable in enumerate(network.weights):
            value = np.asarray(variable.value)
            if np.abs(value).max() > LARGEST:
                raise UserError(f"{name}: a weight of {variable.path} exceeds float16.")
            values[_key(name, number)] = value.astype("float16")
    prior = without_labels(prior)  # They are in the configuration.
    if isinstance(prior, Gaussian):
        values["prior/mean"] = np.asarray(prior.mean, "float32")
        values["prior/factor"] = np.asarray(prior.factor, "float32")
    archive = io.BytesIO()
    np.savez_compressed(archive, step=np.int64(step), **values)
    files.write(path, archive.getvalue())


def read(
    path: str | pathlib.Path, networks: dict[str, keras.Model], latent_size: int
) -> tuple[Prior, int]:
    """Gives networks the values of the file; returns prior and step.

    Raises:
        UserError: the file is damaged, or holds other networks.
    """
    try:
        with open(path, "rb") as file, np.load(file) as archive:
            values = {name: archive[name] for name in archive.files}
        for name, network in networks.items():
            count = sum(key.startswith(f"{name}/") for key in values)
            own = [values[_key(name, number)] for number in range(count)]
            network.set_weights([value.astype("float32") for value in own])
        prior: Prior = Uniform(latent_size)
        if "prior/mean" in values:
            prior = Gaussian(values["prior/mean"], values["prior/factor"])
        return prior, int(values["step"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path} cannot be used: {reason}. Bring it back from a copy."
        ) from error


def _key(name: str, number: int) -> str:
    return f"{name}/{number:03d}"
