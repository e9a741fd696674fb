"""How parts learn to be placed: jitter, shifts, when it begins, and what it costs."""

import tensorflow as tf

from hcm_tf.operations.placing import Placing, PlacingStage
from hcm_tf.training import augmentation, replicas
from hcm_tf.training.noise import Noise


class Placer:
    """What training tells the placing of a generator's parts, and asks of it.

    Half a cell of shift blurs a patch, so that positions stay at whole cells; and where
    parts always meet at the same places, one object is drawn by several. Fakes are
    jittered, which the latent does not know of and the critic may not see.

    Shifts teach what a position means. Half a cell of it changes what the blocks above
    are given, and nothing says that they make half a cell of shift of that: until they
    do, a move in any direction is an error, and parts stay where they are. So
    reconstructions are asked for images that are shifted, by parts shifted as much; the
    latent is that of the image as it was.

    Args:
        noise: of jitter and shifts.
        locations: of the generator.
        cell: pixels of a cell of the 8x8 map, in an image.
        jitter: fakes' positions are shifted by up to so many cells of the 8x8 map.
        shift: reconstructions are shifted by up to so many cells.
        steps: before these, parts stay where they are, and are not asked to be few.
        position_weight: of the mean squared position, which breaks ties between the
            locations that could draw an object.
        presence_target: what the mean presence shall be, such as objects of a scene
            over locations; 0: anything. Without it presences all go to 1.
        presence_weight: of the squared difference to that.
        presence_steps: over so many further steps that weight grows to its full value,
            and what decides hard presences is less and less chance.
        hard: presences are 0 or 1, and drawn by chance.
    """

    def __init__(
        self,
        noise: Noise,
        locations: int,
        cell: int,
        *,
        jitter: float = 0.0,
        shift: float = 0.0,
        steps: int = 0,
        position_weight: float = 0.0,
        presence_target: float = 0.0,
        presence_weight: float = 0.0,
        presence_steps: int = 0,
        hard: bool = False,
    ) -> None:
        self.noise = noise
        self.locations = locations
        self.cell = cell
        self.jitter = jitter
        self.shift = shift
        self.steps = steps
        self.position_weight = position_weight
        self.presence_target = presence_target
        self.presence_weight = presence_weight
        self.presence_steps = presence_steps
        self.hard = hard

    def learns(self, step: tf.Tensor) -> tf.Tensor:
        """1 once parts may move, 0 before.

        Args:
            step: int64, completed training steps.
        """
        return tf.cast(step >= self.steps, tf.float32)

    def settled(self, step: tf.Tensor) -> tf.Tensor:
        """From 0 when parts begin to move to 1 when it is decided which are there.

        Args:
            step: int64, completed training steps.
        """
        since = tf.cast(step - self.steps, tf.float32)
        return tf.clip_by_value((since + 1) / (self.presence_steps + 1), 0.0, 1.0)

    def of_fakes(self, step: tf.Tensor, draw: tf.Tensor, count: int) -> PlacingStage:
        """Of fakes, which are jittered.

        Args:
            step: int64, completed training steps.
            draw: int64, counts drawings of fakes since the start of training.
            count: images in this replica's share.
        """
        jitter = None
        if self.jitter:
            noise = self.noise.uniform("placing", (self.locations, 2), draw, count)
            jitter = self.jitter * (2 * noise - 1)
        chances = self._chances("presence", step, draw, count)
        return PlacingStage(jitter, self.learns(step), chances)

    def shifts(self, step: tf.Tensor, count: int) -> tf.Tensor | None:
        """By how many pixels reconstructions are shifted; None: not at all.

        Args:
            step: int64, completed training steps.
            count: images in this replica's share.

        Returns:
            Down and right, int32 `(count, 2)`.
        """
        most = int(self.shift * self.cell)
        if not most:
            return None
        noise = self.noise.uniform("shift", (2,), step, count)
        return augmentation.shift(noise, most)

    def of_reconstructions(
        self, step: tf.Tensor, count: int, shifts: tf.Tensor | None = None
    ) -> PlacingStage:
        """Of reconstructions, which are drawn where the parts are.

        Args:
            step: int64, completed training steps.
            count: images in this replica's share.
            shifts: of `shifts`.
        """
        chances = self._chances("encoded_presence", step, step, count)
        jitter = None
        if shifts is not None:
            cells = tf.cast(shifts, tf.float32)[:, tf.newaxis] / self.cell
            jitter = tf.repeat(cells, self.locations, 1)
        return PlacingStage(jitter, self.learns(step), chances)

    def _chances(
        self, stream: str, step: tf.Tensor, draw: tf.Tensor, count: int
    ) -> tf.Tensor | None:
        if not self.hard:
            return None
        chances = self.noise.uniform(stream, (self.locations,), draw, count)
        return 0.5 + (1 - self.settled(step)) * (chances - 0.5)

    def loss(self, placing: Placing, step: tf.Tensor) -> tf.Tensor:
        """What each image's placing costs: `(batch,)`.

        w_t mean t^2 + w_p (mean p - target)^2, of which the second is about the mean
        presence of the images of all replicas: an image may have more parts or fewer.

        Args:
            placing: of reconstructions.
            step: int64, completed training steps.
        """
        squares = tf.reduce_mean(tf.square(placing.position), axis=(1, 2))
        loss = self.position_weight * squares
        if not self.presence_target:
            return loss
        presence = tf.reduce_mean(placing.presence, axis=1)
        share = replicas.squared_excess(presence, self.presence_target)
        return loss + self.settled(step) * self.presence_weight * share
