"""Drawing composed faces, with the visible mask of every part (DiceBear's Lorelei).

A face is composed: each slot (hair, eyes, mouth, ...) holds one of several drawn parts,
and three colours vary. So the true composition of every image is known. The style is
Lorelei by Lisa Wischofsky, CC0 1.0. A face is a pure function of its index.
"""

import functools
import importlib.resources
import io
import json
from typing import Any

import numpy as np
import PIL.Image
import resvg_py
from dicebear import Avatar, Style

SIZE = 64
# The parts that have a mask, from back to front; only the last two may be absent.
PARTS = ("hair", "eyes", "eyebrows", "nose", "mouth", "beard", "glasses")
# A pixel belongs to a part that covers at least this much of its area. The strokes of
# the drawing are half a pixel to one pixel wide, so one half would lose thin frames.
MASK_COVERAGE = 0.25

_ABSENT = "none"
_OPTIONAL = ("beard", "glasses")
_PERCENTAGES = {
    "beard": 15,
    "glasses": 25,
    "freckles": 0,
    "earrings": 0,
    "hairAccessories": 0,
}
# The face fills the frame; the tallest hair still fits in.
_FRAME = {"scale": 1.2, "translateY": 2.5}


def _variants(numbers: str) -> tuple[str, ...]:
    return tuple(f"variant{number}" for number in numbers.split())


# The variants that stay legible, and leave the eyes visible, at 64 x 64 pixels.
_DRAWN = {
    "head": _variants("01 02 03 04"),
    "hair": _variants(
        "01 03 04 05 07 08 12 13 14 15 19 20 21 24 26 27 29 31 33 35 36 38 39 40"
    ),
    "eyes": _variants("02 04 05 09 10 16 18 19 20 21 22 24"),
    "eyebrows": _variants("01 02 03 07 08 10 12 13"),
    "nose": _variants("01 03 04 05"),
    "mouth": (
        *("happy01", "happy02", "happy03", "happy05", "happy06", "happy08"),
        *("happy04", "happy18", "sad01", "sad04", "sad05", "sad06"),
    ),
    "beard": _variants("01 02"),
    "glasses": _variants("01 02 03 04 05"),
}
# Any two of them, of different slots, differ by 40 of 255 or more in some channel.
_COLORS = {
    "skin": {
        "light": "#fbdcc4",
        "peach": "#f0bd94",
        "tan": "#cf9163",
        "brown": "#a3683f",
    },
    "hair": {
        "black": "#1f1a1c",
        "brown": "#55301e",
        "ginger": "#e07a24",
        "blond": "#f2cf63",
        "red": "#a62f3b",
        "silver": "#a7adb8",
        "teal": "#2c8088",
    },
    "background": {
        "blue": "#bfe3f2",
        "violet": "#d7c8f0",
        "green": "#c4ebc6",
        "pink": "#f5a8bd",
        "white": "#f1f1f4",
    },
}
_INKS = {
    "outline": "#2a1c14",
    "eyes": "#22180f",
    "eyebrows": "#2a1c14",
    "nose": "#5a3420",
    "mouth": "#8c2030",
    "glasses": "#20242c",
}
# What a face can hold in each slot; a label is an index into its list.
SLOTS: dict[str, tuple[str, ...]] = {
    **{
        slot: ((_ABSENT, *drawn) if slot in _OPTIONAL else drawn)
        for slot, drawn in _DRAWN.items()
    },
    **{f"{name}_color": tuple(colors) for name, colors in _COLORS.items()},
}

# Neither black nor white, so both a part's ink and its white areas stand out by 255.
_NEUTRAL = "#ff00ff"


def draw(index: int) -> tuple[np.ndarray, dict[str, int]]:
    """Draws one face.

    Args:
        index: number of the face; the same number always gives the same face.

    Returns:
        The image, uint8 `(64, 64, 3)`, and the label of each slot of `SLOTS`.
    """
    avatar = avatar_of(index)
    return _rasterise(avatar), labels_of(avatar.to_json()["options"])


def part_masks(index: int) -> dict[str, np.ndarray]:
    """The visible pixels of each part of a face.

    The face is drawn with and without the part, the part in black and everything else
    in one neutral colour. The difference is the fraction of each pixel that the part
    covers and nothing hides, whatever the colours of the face are.

    Returns:
        For each name of `PARTS`, bool `(64, 64)`: where that fraction is at least
        `MASK_COVERAGE`; all False for a part that the face does not have.
    """
    labels = labels_of(avatar_of(index).to_json()["options"])
    masks = {}
    for part in PARTS:
        if SLOTS[part][labels[part]] == _ABSENT:
            masks[part] = np.zeros((SIZE, SIZE), bool)
        else:
            masks[part] = coverage(index, part) >= MASK_COVERAGE
    return masks


def coverage(index: int, part: str) -> np.ndarray:
    """Visible part of each pixel's area, float `(64, 64)` in [0, 1]."""
    colors = dict.fromkeys((*_COLORS, *_INKS, "beard"), _NEUTRAL) | {part: "#000000"}
    options = {
        "seed": str(index),
        **_FRAME,
        **{f"{name}Color": color for name, color in colors.items()},
    }
    present = _rasterise(Avatar(_style(own_beard_color=True), options))
    if part == "hair":  # The style draws the head inside the hair.
        without = Avatar(_style(own_beard_color=True, bald=True), options)
    else:
        options[f"{part}Probability"] = 0
        without = Avatar(_style(own_beard_color=True), options)
    return np.abs(present.astype(int) - _rasterise(without)).max(axis=-1) / 255


def avatar_of(index: int) -> Avatar:
    """The avatar of an index, before it is drawn."""
    return Avatar(_style(), {"seed": str(index), **_FRAME})


def labels_of(chosen: dict[str, Any]) -> dict[str, int]:
    """The label of every slot, from the options that an avatar was made with."""
    labels = {
        slot: SLOTS[slot].index(chosen.get(f"{slot}Variant", _ABSENT))
        for slot in _DRAWN
    }
    for name, colors in _COLORS.items():
        (color,) = chosen[f"{name}Color"]
        labels[f"{name}_color"] = list(colors.values()).index(color)
    return labels


@functools.cache
def _style(*, own_beard_color: bool = False, bald: bool = False) -> Style:
    """The style, reduced to the parts and colours above.

    They are no options of each face, because options are validated at every drawing.
    """
    source = importlib.resources.files("dicebear_styles") / "lorelei.json"
    definition = json.loads(source.read_text(encoding="utf-8"))
    components, colors = definition["components"], definition["colors"]
    for slot, drawn in _DRAWN.items():
        variants = components[slot]["variants"]
        components[slot]["variants"] = {name: variants[name] for name in drawn}
    for slot, percentage in _PERCENTAGES.items():
        components[slot]["probability"] = percentage
    for name, palette in _COLORS.items():
        colors.setdefault(name, {})["values"] = list(palette.values())
    for name, ink in _INKS.items():
        colors[name]["values"] = [ink]
    if own_beard_color:  # The style paints beards in the colour of the hair.
        colors["beard"] = colors["hair"]
        _rename_color(components["beard"], "hair", "beard")
    if bald:
        for variant in components["hair"]["variants"].values():
            variant["elements"] = [
                element
                for element in variant["elements"]
                if element["type"] == "component"
            ]
    return Style(definition)


def _rename_color(node: Any, old: str, new: str) -> None:
    if isinstance(node, dict):
        if node.get("type") == "color" and node.get("name") == old:
            node["name"] = new
        for child in node.values():
            _rename_color(child, old, new)
    elif isinstance(node, list):
        for child in node:
            _rename_color(child, old, new)


def _rasterise(avatar: Avatar) -> np.ndarray:
    png = resvg_py.svg_to_bytes(
        svg_string=str(avatar), width=SIZE, height=SIZE, skip_system_fonts=True
    )
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB"))
