"""The sparse levels of the generator: objects, parts, subparts (Xing et al. 2020)."""

import dataclasses
import math

from hcm_tf.sparsity.rules import RULES


@dataclasses.dataclass(frozen=True)
class Level:
    """One sparse level: what its units are, and which of them compete.

    A unit is one entry of the level's code; a basis function is what a unit draws. At
    the lowest level every location has basis functions of its own, the attributes, and
    those of a location compete. Above, a feature map has one basis function for all
    positions, and its positions compete.

    Attributes:
        name: "attributes", or such as "8x8".
        shape: of a code: (height, width, channels).
        k: units kept among the competitors, or what their gates sum to; of no meaning
            to a rule that is not `sized`.
        placed: every location has its own basis functions.
        rule: by which they are kept, a name of `sparsity.rules.RULES`.
        always: channels, the first, whose units are kept without competing: attributes
            of the background.
    """

    name: str
    shape: tuple[int, int, int]
    k: int
    placed: bool
    rule: str = "top_k"
    always: int = 0

    @property
    def most(self) -> int:
        """Units along the competing axes that may be active, ties aside."""
        k = self.k if RULES[self.rule].bounded else self.competitors
        return self.always + k

    @property
    def sized(self) -> bool:
        """Whether k says how much is kept: neither everything nor a share of a sum."""
        return RULES[self.rule].sized

    @property
    def whole(self) -> bool:
        """Whether a value is kept or left out whole, so that rounding can decide it."""
        return RULES[self.rule].whole

    def selection(self, top_p: float, temperature: float) -> str:
        """How the level selects, in words.

        Args:
            top_p: of the rule of this name.
            temperature: of the rules whose gates are shares.
        """
        count = self.competitors
        if self.sized:
            kept = f"k = {self.k} of {count}"
            if not self.whole:
                kept += f" at temperature {temperature:g}"
        elif self.rule == "top_p":
            kept = f"p = {top_p:g} of the sum of {count}"
        else:
            kept = f"all {count}"
        always = f", and {self.always} that are always kept" if self.always else ""
        return f"{self.name} by {self.rule}, {kept}{always}"

    @property
    def positions(self) -> int:
        """Height times width."""
        return self.shape[0] * self.shape[1]

    @property
    def competing_axes(self) -> tuple[int, ...]:
        """Axes of a code `(height, width, channels)` along which units compete."""
        return (2,) if self.placed else (0, 1)

    @property
    def competitors(self) -> int:
        """Units that compete for k places."""
        along = math.prod(self.shape[axis] for axis in self.competing_axes)
        return along - self.always

    @property
    def basis_axes(self) -> tuple[int, ...]:
        """Axes of a code along which the basis functions differ."""
        return (0, 1, 2) if self.placed else (2,)

    @property
    def bases(self) -> int:
        """Basis functions: positions times attributes, or feature maps."""
        return math.prod(self.shape[axis] for axis in self.basis_axes)

    @property
    def shared_axes(self) -> tuple[int, ...]:
        """Axes of a code along which a basis function is used again."""
        return tuple(axis for axis in range(3) if axis not in self.basis_axes)
