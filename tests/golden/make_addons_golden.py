"""Golden values from TensorFlow Addons, written to addons.npz beside this file.

TensorFlow Addons (TFA) 0.23.0 cannot be imported beside a current TensorFlow. This
script runs in the environment of requirements-addons.txt, which has TensorFlow 2.15;
tests/test_addons_golden.py compares the current code with what it writes. All arrays
are float32 unless stated. Running it again writes the same bytes.

Optimizers. `optimizers/initial_{matrix,vector}` are two weights drawn from N(0, 1),
(6, 5) and (5,); `optimizers/gradients_{matrix,vector}` are 12 gradients of each, of
magnitudes from 1e-9 to 10 (so that Adam's epsilon shows), some exactly zero.
`<optimizer>/{matrix,vector}` are the weights after each of the 12 updates:

* `adam`: Keras 2's legacy Adam, learning rate 7e-4, beta_1 0, beta_2 0.99, epsilon
  1e-7 (the default).
* `average`: what `tfa.optimizers.MovingAverage(average_decay=0.9, start_step=0,
  dynamic_decay=False)` around that Adam holds in its "average" slots. A slot starts as
  the INITIAL weight (`_create_slots` passes `var.read_value()` before the first
  update); each update, the first one included, is followed by
  `average -= (average - weight) * (1 - decay)`, with the weight already updated.
  So the first average is 0.9 * initial + 0.1 * first, not the first weight.
* `adamw`: `tfa.optimizers.AdamW`, learning rate 7e-4, weight_decay 2.8e-6. TFA
  subtracts weight_decay * weight; Keras 3 subtracts learning_rate * weight_decay *
  weight, so the same run has weight_decay 4e-3 there.
* `lamb`: `tfa.optimizers.LAMB`, learning rate 7e-4, epsilon 1e-6 (its default; that of
  Keras 3 is 1e-7), without weight decay (which Keras 3 leaves out of the trust ratio).

Sparsemax. For the scales 0.1, 1 and 10, `sparsemax/logits_<scale>` is (7, 23), drawn
from N(0, scale^2); `sparsemax/values_<scale>` is `tfa.activations.sparsemax` of it, and
`sparsemax/gradient_<scale>` the gradient of sum(values * sparsemax/cotangent).

Masks (Xing et al. 2020), bool: x >= the k-th largest value, by `tf.math.top_k`.
`masks/channel_mask` has k = 3 of 8 channels at each location of `masks/channel_input`
(2, 3, 3, 8); `masks/spatial_mask` has k = 5 of the 16 positions of each channel of
`masks/spatial_input` (2, 4, 4, 3). The values are multiples of 0.5, so that many are
equal. In the first example most are negative, thresholds too; the second has passed a
ReLU, so that a threshold of 0, which keeps everything, occurs.

Normalisations, which the published networks do not use, but their studies may:
`instance/output` is `tfa.layers.InstanceNormalization` of `instance/images`
(2, 5, 4, 3) with `instance/{gamma,beta}`. `spectral/output` is
`tfa.layers.SpectralNormalization` around a 3x3 convolution without bias, called once
with training=True on `spectral/images` (2, 5, 4, 3), from `spectral/{kernel,u}`;
`spectral/{kernel,u}_after` are the variables that the call leaves.
"""

import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

PATH = pathlib.Path(__file__).with_name("addons.npz")
STEPS = 12
SHAPES = {"matrix": (6, 5), "vector": (5,)}


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype("float32")


def optimizer_inputs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    arrays = {}
    for name, shape in SHAPES.items():
        magnitude = 10.0 ** rng.uniform(-9, 1, shape)
        gradients = magnitude * rng.standard_normal((STEPS, *shape))
        gradients[rng.random((STEPS, *shape)) < 0.1] = 0.0
        arrays[f"optimizers/initial_{name}"] = normal(rng, *shape)
        arrays[f"optimizers/gradients_{name}"] = gradients.astype("float32")
    return arrays


def trajectory(
    optimizer: tf.keras.optimizers.legacy.Optimizer, inputs: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Weights after every update, and their averages where the optimizer has them."""
    weights = {
        name: tf.Variable(inputs[f"optimizers/initial_{name}"], name=name)
        for name in SHAPES
    }
    raw = {name: [] for name in SHAPES}
    averages = {name: [] for name in SHAPES}
    for step in range(STEPS):
        optimizer.apply_gradients(
            (tf.constant(inputs[f"optimizers/gradients_{name}"][step]), weight)
            for name, weight in weights.items()
        )
        for name, weight in weights.items():
            raw[name].append(weight.numpy())
            if "average" in optimizer.get_slot_names():
                averages[name].append(optimizer.get_slot(weight, "average").numpy())
    return (
        {name: np.stack(values) for name, values in raw.items()},
        {name: np.stack(values) for name, values in averages.items() if values},
    )


def optimizers(rng: np.random.Generator) -> dict[str, np.ndarray]:
    adam = tf.keras.optimizers.legacy.Adam(7e-4, beta_1=0.0, beta_2=0.99)
    average = tfa.optimizers.MovingAverage(
        adam, average_decay=0.9, start_step=0, dynamic_decay=False
    )
    adamw = tfa.optimizers.AdamW(
        weight_decay=4e-3 * 7e-4, learning_rate=7e-4, beta_1=0.0, beta_2=0.99
    )
    lamb = tfa.optimizers.LAMB(7e-4, beta_1=0.0, beta_2=0.99, weight_decay=0.0)

    inputs = optimizer_inputs(rng)
    found = {}
    found["adam"], found["average"] = trajectory(average, inputs)
    found["adamw"], _ = trajectory(adamw, inputs)
    found["lamb"], _ = trajectory(lamb, inputs)
    return inputs | {
        f"{optimizer}/{name}": values
        for optimizer, weights in found.items()
        for name, values in weights.items()
    }


def sparsemax(rng: np.random.Generator) -> dict[str, np.ndarray]:
    cotangent = normal(rng, 7, 23)
    arrays = {"sparsemax/cotangent": cotangent}
    for scale in (0.1, 1, 10):
        logits = np.float32(scale) * normal(rng, 7, 23)
        with tf.GradientTape() as tape:
            inputs = tf.constant(logits)
            tape.watch(inputs)
            values = tfa.activations.sparsemax(inputs)
        gradient = tape.gradient(values, inputs, output_gradients=cotangent)
        arrays[f"sparsemax/logits_{scale}"] = logits
        arrays[f"sparsemax/values_{scale}"] = values.numpy()
        arrays[f"sparsemax/gradient_{scale}"] = gradient.numpy()
    return arrays


def halves(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Multiples of 0.5 from -3 to 1; the second example after a ReLU."""
    x = rng.integers(-6, 3, shape).astype("float32") / 2
    x[1] = np.maximum(x[1], 0)
    return x


def masks(rng: np.random.Generator) -> dict[str, np.ndarray]:
    channel_input = halves(rng, 2, 3, 3, 8)
    channel_threshold = tf.math.top_k(channel_input, 3).values[..., -1:]

    spatial_input = halves(rng, 2, 4, 4, 3)
    positions = tf.reshape(tf.transpose(spatial_input, (0, 3, 1, 2)), (2, 3, 16))
    spatial_threshold = tf.math.top_k(positions, 5).values[..., -1]
    return {
        "masks/channel_input": channel_input,
        "masks/channel_mask": (channel_input >= channel_threshold).numpy(),
        "masks/spatial_input": spatial_input,
        "masks/spatial_mask": (
            spatial_input >= spatial_threshold[:, tf.newaxis, tf.newaxis]
        ).numpy(),
    }


def instance_normalization(rng: np.random.Generator) -> dict[str, np.ndarray]:
    images, gamma, beta = normal(rng, 2, 5, 4, 3), normal(rng, 3), normal(rng, 3)
    layer = tfa.layers.InstanceNormalization()
    layer.build(images.shape)
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return {
        "instance/images": images,
        "instance/gamma": gamma,
        "instance/beta": beta,
        "instance/output": layer(images).numpy(),
    }


def spectral_normalization(rng: np.random.Generator) -> dict[str, np.ndarray]:
    images, kernel, u = normal(rng, 2, 5, 4, 3), normal(rng, 3, 3, 3, 4), normal(rng, 4)
    convolution = tf.keras.layers.Conv2D(4, 3, padding="same", use_bias=False)
    layer = tfa.layers.SpectralNormalization(convolution, power_iterations=2)
    layer.build(images.shape)
    convolution.kernel.assign(kernel)
    layer.u.assign(u[np.newaxis])
    output = layer(images, training=True)
    return {
        "spectral/images": images,
        "spectral/kernel": kernel,
        "spectral/u": u[np.newaxis],
        "spectral/output": output.numpy(),
        "spectral/kernel_after": convolution.kernel.numpy(),
        "spectral/u_after": layer.u.numpy(),
    }


def main() -> None:
    makers = (
        optimizers,
        sparsemax,
        masks,
        instance_normalization,
        spectral_normalization,
    )
    arrays = {}
    for seed, make in enumerate(makers):
        arrays |= make(np.random.default_rng(seed))
    np.savez_compressed(PATH, **arrays)
    print(f"{PATH.name}: {len(arrays)} arrays, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
