"""The PyTorch port against the golden vectors, in float64."""

import golden_vectors
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import torch_port  # noqa: E402
from hcm_tf.networks import build_generator  # noqa: E402

GOLDEN = golden_vectors.load()


def port(kind, which):
    prefix = f"{which}/"
    weights = {
        name.removeprefix(prefix): array
        for name, array in GOLDEN.items()
        if name.startswith(prefix)
    }
    return kind(weights, golden_vectors.CONFIG)


@pytest.fixture
def networks():
    return {
        "generator": port(torch_port.TorchGenerator, "generator"),
        "encoder": port(torch_port.TorchEncoder, "encoder"),
        "critic": port(torch_port.TorchCritic, "critic"),
    }


def images(name):
    return torch.tensor(GOLDEN[name]).permute(0, 3, 1, 2)


def close(actual, expected):
    actual = actual.detach().numpy()
    if actual.ndim == 4:
        actual = actual.transpose(0, 2, 3, 1)
    return golden_vectors.error(actual, expected) <= 1e-6


def test_values(networks):
    real = images("in/images")
    image = networks["generator"](torch.tensor(GOLDEN["in/latent"]))
    assert close(image, GOLDEN["out/image"])
    assert close(networks["encoder"](real), GOLDEN["out/latent"])
    assert close(networks["critic"](real), GOLDEN["out/real_scores"][:, 0])


def test_losses_and_gradients(networks):
    real, fake = images("in/images"), images("out/image")
    epsilon = torch.tensor(GOLDEN["in/epsilon"])
    critic = networks["critic"]
    losses = {
        "critic": torch_port.critic_objective(critic, real, fake, epsilon),
        "generator": torch_port.generator_objective(
            **networks, real=real, latent=torch.tensor(GOLDEN["in/latent"])
        ),
    }
    for name, loss in losses.items():
        assert close(loss, GOLDEN[f"out/{name}_loss"])
    losses["critic"].backward()
    check_gradients("critic", critic)
    losses["generator"].backward()
    check_gradients("generator", networks["generator"])
    check_gradients("encoder", networks["encoder"])


def check_gradients(which, network):
    for name, weight in network.weights.items():
        gradient = weight.grad.numpy()
        if gradient.ndim == 4:
            gradient = gradient.transpose(2, 3, 1, 0)
        error = golden_vectors.error(gradient, GOLDEN[f"grad/{which}/{name}"])
        assert error <= 1e-6, (which, name)


def test_weights_of_our_networks():
    generator = build_generator(golden_vectors.CONFIG, dtype="float64")
    golden_vectors.assign(generator, "generator")
    weights = torch_port.weights_of(generator)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, GOLDEN[f"generator/{name}"])
