"""The objectives: losses of one value for each example, and what is made of them.

Published (Xing et al. 2020; WGAN-GP), with m = e y + (1 - e) G(z), e uniform in (0, 1):

    critic:     E f(G(z)) - E f(y) + 10 E (||grad f(m)|| - 1)^2 + 0.001 E f(y)^2
    generator:  -E f(G(z)) + 0.1 E ||G(Q(y)) - y||^2        (encoder Q included)

`make_objective` gives this one and its relatives. Every loss has the shape `(batch,)`;
only the trainer reduces.
"""

import dataclasses
from collections.abc import Callable, Sequence

from keras import ops

from hcm_tf.sparsity import Tensor

# A loss, and what is worth logging of it; all of shape `(batch,)`.
Loss = tuple[Tensor, dict[str, Tensor]]


@dataclasses.dataclass(frozen=True)
class Term:
    """One summand of the critic's loss.

    Attributes:
        at: the images it looks at, of "real", "fake" and "mixed".
        loss: from the scores of each of them, or from the norms of the scores'
            gradients by the images, each `(batch,)`, to a `Loss`.
        metrics: names of what it logs.
        of_gradients: it is handed gradient norms.
        interval: it counts every so many steps, so many times as much, and logs zeros
            between (lazy regularisation, Karras et al. 2020).
    """

    at: tuple[str, ...]
    loss: Callable[..., Loss]
    metrics: tuple[str, ...]
    of_gradients: bool = False
    interval: int = 1


@dataclasses.dataclass(frozen=True)
class Objective:
    """The critic's and the generator's adversarial losses.

    Attributes:
        critic: summands of the critic's loss; none: no critic is trained.
        generator: from the scores of fakes, and of real images if `pairs`, to the
            generator's loss, `(batch,)`; None without a critic.
        pairs: the generator's loss compares fakes with real images.
    """

    critic: tuple[Term, ...]
    generator: Callable[..., Tensor] | None
    pairs: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all that a training step logs."""
        of_critic = [name for term in self.critic for name in term.metrics]
        losses = ("critic_loss", "generator_loss")
        return (*losses, *of_critic, "reconstruction_error")


OBJECTIVES = ("wgan_gp", "relativistic", "non_saturating", "hinge", "reconstruction")


def make_objective(
    name: str = "wgan_gp",
    *,
    gradient_penalty_weight: float = 10.0,
    drift_weight: float = 1e-3,
    r1_weight: float = 0.0,
    r2_weight: float = 0.0,
    penalty_interval: int = 1,
) -> Objective:
    """The objective of a name.

    Args:
        name: of OBJECTIVES.
        gradient_penalty_weight: of `gradient_penalty`, in wgan_gp alone.
        drift_weight: of `drift`, in wgan_gp alone.
        r1_weight: of `zero_centred_penalty` at real images, with any critic.
        r2_weight: the same at fakes.
        penalty_interval: steps between two uses of R1 and R2.

    Raises:
        ValueError: no such objective.
    """
    if name == "reconstruction":
        return Objective((), None)
    if name == "wgan_gp":
        objective = _wgan_gp(gradient_penalty_weight, drift_weight)
    elif name == "relativistic":
        pair = Term(
            ("real", "fake"), _relativistic_critic, ("real_score", "fake_score")
        )
        objective = Objective((pair,), relativistic_generator_loss, pairs=True)
    elif name == "non_saturating":
        objective = _separate(lambda s: ops.softplus(-s), ops.softplus, non_saturating)
    elif name == "hinge":
        objective = _separate(
            lambda s: ops.relu(1.0 - s), lambda s: ops.relu(1.0 + s), generator_loss
        )
    else:
        raise ValueError(
            f"`name` must be one of {', '.join(OBJECTIVES)}. Received: {name!r}"
        )
    penalties = tuple(
        _lazy_penalty(images, metric, weight, penalty_interval)
        for images, metric, weight in (
            ("real", "r1", r1_weight),
            ("fake", "r2", r2_weight),
        )
        if weight
    )
    return dataclasses.replace(objective, critic=objective.critic + penalties)


def _wgan_gp(gradient_penalty_weight: float, drift_weight: float) -> Objective:
    def on_real(scores: Tensor) -> Loss:
        squared = drift(scores)
        loss = critic_loss_on_real(scores) + drift_weight * squared
        return loss, {"real_score": scores, "drift": squared}

    def on_mixed(norms: Tensor) -> Loss:
        penalty = gradient_penalty(norms)
        metrics = {"gradient_norm": norms, "gradient_penalty": penalty}
        return gradient_penalty_weight * penalty, metrics

    terms = (
        Term(("real",), on_real, ("real_score", "drift")),
        Term(
            ("fake",),
            lambda scores: (critic_loss_on_fake(scores), {"fake_score": scores}),
            ("fake_score",),
        ),
        Term(
            ("mixed",),
            on_mixed,
            ("gradient_norm", "gradient_penalty"),
            of_gradients=True,
        ),
    )
    return Objective(terms, generator_loss)


def _separate(
    on_real: Callable[[Tensor], Tensor],
    on_fake: Callable[[Tensor], Tensor],
    generator: Callable[[Tensor], Tensor],
) -> Objective:
    """An objective whose critic judges real images and fakes apart."""
    terms = (
        Term(("real",), lambda s: (on_real(s), {"real_score": s}), ("real_score",)),
        Term(("fake",), lambda s: (on_fake(s), {"fake_score": s}), ("fake_score",)),
    )
    return Objective(terms, generator)


def _lazy_penalty(images: str, metric: str, weight: float, interval: int) -> Term:
    def loss(norms: Tensor) -> Loss:
        penalty = zero_centred_penalty(norms)
        return interval * weight * penalty, {metric: penalty}

    return Term((images,), loss, (metric,), of_gradients=True, interval=interval)


def _relativistic_critic(real_scores: Tensor, fake_scores: Tensor) -> Loss:
    loss = relativistic_critic_loss(real_scores, fake_scores)
    return loss, {"real_score": real_scores, "fake_score": fake_scores}


def critic_loss_on_real(scores: Tensor) -> Tensor:
    """-f(y), from scores `(batch,)` (Arjovsky et al. 2017)."""
    return -scores


def critic_loss_on_fake(scores: Tensor) -> Tensor:
    """f(G(z)), from scores `(batch,)` (Arjovsky et al. 2017)."""
    return scores


def generator_loss(fake_scores: Tensor) -> Tensor:
    """-f(G(z)), from scores `(batch,)`."""
    return -fake_scores


def relativistic_critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """softplus(f(G(z)) - f(y)) (Jolicoeur-Martineau 2019; Huang et al. 2024)."""
    return ops.softplus(fake_scores - real_scores)


def relativistic_generator_loss(fake_scores: Tensor, real_scores: Tensor) -> Tensor:
    """softplus(f(y) - f(G(z))) (Jolicoeur-Martineau 2019; Huang et al. 2024)."""
    return ops.softplus(real_scores - fake_scores)


def non_saturating(fake_scores: Tensor) -> Tensor:
    """-log sigmoid(f(G(z))) (Goodfellow et al. 2014).

    At the optimal critic f = log(p_r / p_g) its gradient by the generator is that of
    KL(p_g || p_r) - 2 JSD(p_g, p_r) = 2 KL((p_r + p_g) / 2 || p_r), the soft reverse KL
    (Arjovsky and Bottou 2017; Shannon et al. 2020).
    """
    return ops.softplus(-fake_scores)


def gradient_norm(gradients: Tensor) -> Tensor:
    """Euclidean norm of each image's gradient `(batch, height, width, channels)`."""
    squared = ops.sum(ops.square(gradients), axis=(1, 2, 3))
    # At exactly zero the square root has no derivative; the floor's is zero.
    return ops.sqrt(ops.maximum(squared, 1e-30))


def gradient_penalty(norms: Tensor) -> Tensor:
    """(||grad f(m)|| - 1)^2 (Gulrajani et al. 2017, equation 3, without its weight)."""
    return ops.square(norms - 1.0)


def zero_centred_penalty(norms: Tensor) -> Tensor:
    """0.5 ||grad f||^2: R1 at real images, R2 at fakes (Mescheder et al. 2018)."""
    return 0.5 * ops.square(norms)


def drift(real_scores: Tensor) -> Tensor:
    """f(y)^2, which keeps scores near zero (Karras et al. 2018, without its weight)."""
    return ops.square(real_scores)


def reconstruction_loss(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared error summed over pixels and channels, without its weight.

    A sum, as published: a mean would be 12,288 times weaker for 64x64 colour images.
    """
    return ops.sum(ops.square(reconstructions - images), axis=(1, 2, 3))


def label_loss(labels: Tensor, scores: Sequence[Tensor]) -> Tensor:
    """Cross entropy of what is read from images, summed over their labels.

    Args:
        labels: one-hot, `(batch, classes of all labels)`.
        scores: for each label, the logits of its classes, `(batch, classes)`.
    """
    chances = ops.concatenate([ops.log_softmax(one, axis=-1) for one in scores], axis=1)
    return -ops.sum(labels * chances, axis=1)


def orthogonality(kernels: Sequence[Tensor]) -> Tensor:
    """Squared cosines between the filters of each kernel, summed: a scalar.

    Brock et al. 2019 (BigGAN), equation 3: filters may be of any size, but not alike.
    Cosines, because the equalised learning rate leaves the size of a kernel free.

    Args:
        kernels: each `(..., filters)`.
    """
    total = 0.0
    for kernel in kernels:
        filters = ops.reshape(kernel, (-1, kernel.shape[-1]))
        size = ops.sum(ops.square(filters), axis=0, keepdims=True)
        filters = filters * ops.rsqrt(size + 1e-12)
        cosines = ops.matmul(ops.transpose(filters), filters)
        total += ops.sum(ops.square(cosines)) - ops.sum(
            ops.square(ops.diagonal(cosines))
        )
    return total


def mix(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """epsilon * real + (1 - epsilon) * fake, epsilon `(batch, 1, 1, 1)` in [0, 1]."""
    return epsilon * real + (1.0 - epsilon) * fake
