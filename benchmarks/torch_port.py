"""The same model in eager PyTorch, channels_last, as a user would write it.

The published formulas without the rewrites of `hcm_tf.operations`; the tests compare it
with the same golden vectors. Optional: requirements-torch.txt.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
import torch
import torch.nn.functional as F

from hcm_tf.config import GRID, ModelConfig
from hcm_tf.networks import Generator
from hcm_tf.operations.placement import placement_kernel

Weights = dict[str, torch.Tensor]


def weights_of(network: keras.Model) -> dict[str, np.ndarray]:
    """Arrays of one of our networks, in the published layout, by short names."""
    if isinstance(network, Generator):
        layers = {"attr": network.attribute_conv, "out": network.to_image}
        for index, block in enumerate(network.blocks, 1):
            layers |= {f"b{index}a": block.first, f"b{index}b": block.second}
            if block.shortcut is not None:
                layers[f"b{index}s"] = block.shortcut
    else:
        layers = {"c0": network.trunk.from_image}
        for index, block in enumerate(network.trunk.blocks, 1):
            layers |= {f"d{index}a": block.first, f"d{index}b": block.second}
            if block.shortcut is not None:
                layers[f"d{index}s"] = block.shortcut
        if hasattr(network, "last"):
            layers["last"] = network.last
    arrays = {name: np.asarray(layer.kernel) for name, layer in layers.items()}
    if "b1a" in arrays:
        arrays["b1a"] = np.asarray(placement_kernel(arrays["b1a"]))
    return arrays | {
        "fc": np.asarray(network.fc.kernel),
        "fc_bias": np.asarray(network.fc.bias),
    }


class _Network(torch.nn.Module):
    def __init__(self, weights: dict[str, np.ndarray], config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.weights = torch.nn.ParameterDict()
        for name, array in weights.items():
            tensor = torch.tensor(array)
            if array.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1)
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            self.weights[name] = torch.nn.Parameter(tensor)

    def conv(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight = self.weights[name]
        scale = math.sqrt(2.0 / math.prod(weight.shape[1:]))
        return F.conv2d(x, weight * scale, padding=weight.shape[-1] // 2)

    def dense(self, x: torch.Tensor, gain: float) -> torch.Tensor:
        weight = self.weights["fc"]
        scale = gain / math.sqrt(weight.shape[0])
        return x @ (weight * scale) + self.weights["fc_bias"]


class TorchGenerator(_Network):
    """latent -> image `(batch, channels, size, size)`."""

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        config = self.config
        x = F.relu(self.dense(latent, math.sqrt(2.0) / 4))
        x = x.reshape(len(x), GRID, GRID, -1).permute(0, 3, 1, 2)
        x = F.relu(self.conv(x, "attr"))
        threshold = x.topk(config.attribute_k, dim=1).values[:, -1:]
        x = torch.where(x >= threshold, x, 0.0)
        own = torch.eye(GRID * GRID, dtype=x.dtype).reshape(-1, GRID, GRID)
        x = (x[:, :, None] * own).reshape(len(x), -1, GRID, GRID)
        x = x.contiguous(memory_format=torch.channels_last)
        for index, k in enumerate((*config.spatial_k, None), 1):
            up = F.interpolate(x, scale_factor=2, mode="nearest")
            y = F.relu(self.conv(F.relu(self.conv(up, f"b{index}a")), f"b{index}b"))
            if f"b{index}s" in self.weights:
                shortcut = self.conv(x, f"b{index}s")
                y = y + F.interpolate(shortcut, scale_factor=2, mode="nearest")
            x = y if k is None else _keep_positions(y, k)
        return torch.tanh(self.conv(x, "out"))


def _keep_positions(x: torch.Tensor, k: int) -> torch.Tensor:
    threshold = x.flatten(2).topk(k, dim=2).values[..., -1]
    return torch.where(x >= threshold[..., None, None], x, 0.0)


class _Trunk(_Network):
    def trunk(self, images: torch.Tensor) -> torch.Tensor:
        x = F.leaky_relu(self.conv(images, "c0"), 0.2)
        for index in range(1, len(self.config.trunk_widths) + 1):
            y = F.leaky_relu(self.conv(x, f"d{index}a"), 0.2)
            y = F.avg_pool2d(F.leaky_relu(self.conv(y, f"d{index}b"), 0.2), 2)
            if f"d{index}s" in self.weights:
                y = y + self.conv(F.avg_pool2d(x, 2), f"d{index}s")
            x = y
        return x


class TorchEncoder(_Trunk):
    """Image -> latent."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.trunk(images).permute(0, 2, 3, 1).flatten(1)
        return torch.tanh(self.dense(x, 1.0))


class TorchCritic(_Trunk):
    """Image -> score `(batch,)`."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.trunk(images)
        group = min(self.config.stddev_group_size, len(x))
        variance = x.reshape(group, len(x) // group, *x.shape[1:]).var(0, correction=0)
        statistic = (variance + 1e-8).sqrt().mean((1, 2, 3)).repeat(group)
        statistic = statistic[:, None, None, None].expand(-1, 1, *x.shape[2:])
        x = F.leaky_relu(self.conv(torch.cat([x, statistic], 1), "last"), 0.2)
        return self.dense(x.permute(0, 2, 3, 1).flatten(1), 1.0)[:, 0]


def critic_objective(
    critic: TorchCritic, real: torch.Tensor, fake: torch.Tensor, epsilon: torch.Tensor
) -> torch.Tensor:
    """The critic's loss: Wasserstein, gradient penalty, drift."""
    mixed = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    penalty = (gradient.square().sum((1, 2, 3)).sqrt() - 1).square().mean()
    real_scores = critic(real)
    loss = critic(fake).mean() - real_scores.mean() + 10 * penalty
    return loss + 1e-3 * real_scores.square().mean()


def generator_objective(
    generator: TorchGenerator,
    encoder: TorchEncoder,
    critic: TorchCritic,
    real: torch.Tensor,
    latent: torch.Tensor,
) -> torch.Tensor:
    """The loss of generator and encoder: Wasserstein and reconstruction."""
    error = (generator(encoder(real)) - real).square().sum((1, 2, 3)).mean()
    return 0.1 * error - critic(generator(latent)).mean()


def training_step(
    generator: TorchGenerator, encoder: TorchEncoder, critic: TorchCritic
) -> Callable[[torch.Tensor], float]:
    """A function that takes images `(batch, channels, size, size)`, one critic and one
    generator update each."""
    rate, betas = 7e-4, (0.0, 0.99)
    both = [*generator.parameters(), *encoder.parameters()]
    critic_optimizer = torch.optim.Adam(critic.parameters(), rate, betas, fused=True)
    optimizer = torch.optim.Adam(both, rate, betas, fused=True)

    def step(real: torch.Tensor) -> float:
        latent = 2 * torch.rand(len(real), generator.config.latent_size) - 1
        with torch.no_grad():
            fake = generator(latent)
        loss = critic_objective(critic, real, fake, torch.rand(len(real), 1, 1, 1))
        critic_optimizer.zero_grad()
        loss.backward()
        critic_optimizer.step()
        critic.requires_grad_(False)
        loss = generator_objective(generator, encoder, critic, real, latent)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        critic.requires_grad_(True)
        return loss.item()

    return step
