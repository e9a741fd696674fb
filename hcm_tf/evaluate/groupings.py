"""How segments are made of what a run draws: a table of groupings.

Each is a function from a drawn image and a number of segments to a label map.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from hcm_tf.explain import absence, attribution, grouping, placed_parts
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.metrics.linkage import Merges


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A scene's image, and how it was drawn again; what it takes is made once.

    Attributes:
        image: the input, float32 `(size, size, channels)` in [-1, 1].
        decoder: of the generator.
        recording: of the drawing.
    """

    image: np.ndarray
    decoder: Decoder
    recording: Recording

    @functools.cached_property
    def locations(self) -> np.ndarray:
        """What each location draws, see `attribution.location_pictures`."""
        return attribution.location_pictures(self.decoder, self.recording)

    @functools.cached_property
    def absences(self) -> np.ndarray:
        """What is lost without each part that is placed, see `absence.changes`."""
        return absence.changes(self.decoder, self.recording)

    @functools.cached_property
    def attributes(self) -> np.ndarray:
        """What each active attribute draws, see `attribution.pixel_contributions`."""
        return self._contributions(0)

    @functools.cached_property
    def by_attributes(self) -> Merges:
        """Pixels by what each active attribute draws there, in every channel."""
        return grouping.pixel_merges(self.attributes, normalised=True)

    @functools.cached_property
    def by_shares(self) -> Merges:
        """Pixels by which attributes make them, whatever their colour."""
        shares = grouping.shares(self.attributes)
        return grouping.pixel_merges(shares, normalised=True)

    @functools.cached_property
    def by_8x8(self) -> Merges:
        """Pixels by what each active unit of the level 8x8 draws there."""
        return grouping.pixel_merges(self._contributions(1), normalised=True)

    @functools.cached_property
    def by_input(self) -> Merges:
        """Pixels by the colours of the input."""
        return _by_colour(self.image)

    @functools.cached_property
    def by_reconstruction(self) -> Merges:
        """Pixels by the colours of what was drawn."""
        return _by_colour(self.recording.image)

    def _contributions(self, level: int) -> np.ndarray:
        return attribution.pixel_contributions(
            self.decoder, self.recording, level, grouping.SIDE
        )


def _by_colour(image: np.ndarray) -> Merges:
    # Not normalised: the length of a colour is all that tells black from white.
    colours = attribution.pooled(image[np.newaxis], grouping.SIDE)[0]
    return grouping.pixel_merges(colours, normalised=False)


def _clustered(merges: str) -> "Grouping":
    """Pixels in segments, by an attribute of `Drawn`."""
    return lambda drawn, segments: grouping.pixel_segments(
        getattr(drawn, merges), segments
    )


# From what was drawn and a number of segments to a label map, square, of any size.
Grouping = Callable[[Drawn, int], np.ndarray]
GROUPINGS: dict[str, Grouping] = {
    "by location": lambda drawn, segments: grouping.by_location(drawn.locations),
    "by location, merged": lambda drawn, segments: grouping.by_merged_location(
        drawn.locations, segments
    ),
    "by pixel, attributes": _clustered("by_attributes"),
    "by pixel, shares": _clustered("by_shares"),
    "by pixel, 8x8 units": _clustered("by_8x8"),
}
# Of runs that place their parts freely alone.
PLACED: dict[str, Grouping] = {
    "by placed part": lambda drawn, segments: placed_parts.labels(
        drawn.recording.placing, len(drawn.recording.image)
    ),
    "by absence": lambda drawn, segments: absence.labels(drawn.absences),
}
# Of random weights too. Their placed parts cover nothing, and units of 8x8 take longer
# than all the others together.
CONTROLLED = {
    name: group for name, group in GROUPINGS.items() if name != "by pixel, 8x8 units"
}
COLOURS: dict[str, Grouping] = {
    "colours of the input": _clustered("by_input"),
    "colours of the reconstruction": _clustered("by_reconstruction"),
}
# Pictures are chosen by how it covers objects.
MAIN = "by pixel, attributes"
# What is also cut at as many segments as the scene has.
ORACLE = (*(name for name in GROUPINGS if name.startswith("by pixel")), *COLOURS)
# Of those that have soft masks beside their segments: `(masks, size, size)`.
SOFT: dict[str, Callable[[Drawn], np.ndarray]] = {
    "by location": lambda drawn: grouping.soft_masks(drawn.locations),
    "by placed part": lambda drawn: placed_parts.masks(
        drawn.recording.placing, len(drawn.recording.image)
    ),
}


def available(*, placed: bool) -> dict[str, Grouping]:
    """Those that a run has.

    Args:
        placed: whether it places its parts freely.
    """
    return {**GROUPINGS, **PLACED} if placed else GROUPINGS
