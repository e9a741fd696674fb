"""The objective, one value for each example (Xing et al. 2020; WGAN-GP).

    critic:     E f(G(z)) - E f(y) + 10 E (||grad f(m)|| - 1)^2 + 0.001 E f(y)^2
    generator:  -E f(G(z)) + 0.1 E ||G(Q(y)) - y||^2        (encoder Q included)

with m = e y + (1 - e) G(z) and e uniform in (0, 1) for each image. Every function
returns shape `(batch,)`; only the trainer reduces.
"""

from keras import ops

from hcm_tf.sparsity import Tensor


def critic_loss_on_real(scores: Tensor) -> Tensor:
    """-f(y), from scores `(batch,)` (Arjovsky et al. 2017)."""
    return -scores


def critic_loss_on_fake(scores: Tensor) -> Tensor:
    """f(G(z)), from scores `(batch,)` (Arjovsky et al. 2017)."""
    return scores


def generator_loss(fake_scores: Tensor) -> Tensor:
    """-f(G(z)), from scores `(batch,)`."""
    return -fake_scores


def gradient_norm(gradients: Tensor) -> Tensor:
    """Euclidean norm of each image's gradient `(batch, height, width, channels)`."""
    squared = ops.sum(ops.square(gradients), axis=(1, 2, 3))
    # At exactly zero the square root has no derivative; the floor's is zero.
    return ops.sqrt(ops.maximum(squared, 1e-30))


def gradient_penalty(norms: Tensor) -> Tensor:
    """(||grad f(m)|| - 1)^2 (Gulrajani et al. 2017, equation 3, without its weight)."""
    return ops.square(norms - 1.0)


def drift(real_scores: Tensor) -> Tensor:
    """f(y)^2, which keeps scores near zero (Karras et al. 2018, without its weight)."""
    return ops.square(real_scores)


def reconstruction_loss(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared error summed over pixels and channels, without its weight.

    A sum, as published: a mean would be 12,288 times weaker for 64x64 colour images.
    """
    return ops.sum(ops.square(reconstructions - images), axis=(1, 2, 3))


def mix(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """epsilon * real + (1 - epsilon) * fake, epsilon `(batch, 1, 1, 1)` in [0, 1]."""
    return epsilon * real + (1.0 - epsilon) * fake
