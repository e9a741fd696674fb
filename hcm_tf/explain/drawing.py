"""The AND-OR tree as one picture: left to right, from the image to its primitives."""

import numpy as np
from PIL import Image, ImageDraw

from hcm_tf.explain import rendering
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.tree import Node, Tree
from hcm_tf.explain.units import Units

# Children drawn of a node, for the image and for each level.
BRANCHES = (5, 3, 2, 2)
# Of the image and of each level's pictures; 128 pixels have five levels.
SIDES = (160, 96, 64, 48, 32, 24)
GAP = 8
COLUMN_GAP = 88
MARGIN = 24
INK = (90, 94, 102)
ACCENT = (176, 74, 28)
PAPER = (255, 255, 255)


def draw_tree(decoder: Decoder, recording: Recording, tree: Tree) -> np.ndarray:
    """Draws the strongest branches of a tree: uint8 `(height, width, 3)`.

    Lines are as thick as the flow they carry; a node's picture is its contribution.
    """
    tiles = _tiles(decoder, recording, tree)
    roots = [tree.nodes[0][unit] for unit in tree.roots[: BRANCHES[0]]]
    leaves = sum(_leaves(tree, root) for root in roots)
    sides = SIDES[: len(tree.level_names) + 1]
    lefts = np.cumsum([MARGIN, *(side + COLUMN_GAP for side in sides)])
    height = max(leaves * (sides[-1] + GAP), sides[0]) + 2 * MARGIN
    width = int(lefts[-1]) - COLUMN_GAP + MARGIN
    canvas = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(canvas)

    def place(pixels: np.ndarray, depth: int, middle: float) -> None:
        side = sides[depth]
        picture = Image.fromarray(_rgb(pixels))
        picture = picture.resize((side, side), Image.Resampling.NEAREST)
        canvas.paste(picture, (int(lefts[depth]), round(middle - side / 2)))

    def connect(depth: int, start: float, end: float, flow: float) -> None:
        left, right = lefts[depth] + sides[depth] + 3, lefts[depth + 1] - 3
        t = np.linspace(0, 1, 24)
        blend = t * t * (3 - 2 * t)
        points = [
            (left + (right - left) * x, start + (end - start) * y)
            for x, y in zip(t, blend, strict=True)
        ]
        pen.line(points, fill=ACCENT if flow >= 0.05 else INK, width=_thickness(flow))

    def branch(node: Node, top: float) -> tuple[float, float]:
        """Draws a node and what is below it; returns its middle and its bottom."""
        listed = _branches(node)
        if not listed:
            bottom = top + sides[-1] + GAP
            middle = (top + bottom) / 2
        else:
            middles, bottom = [], top
            for edge in listed:
                child = tree.nodes[node.level + 1][edge.node]
                at, bottom = branch(child, bottom)
                middles.append(at)
            middle = (middles[0] + middles[-1]) / 2
            for edge, at in zip(listed, middles, strict=True):
                connect(node.level + 1, middle, at, edge.flow)
        place(tiles[node.level][node.unit], node.level + 1, middle)
        return middle, bottom

    top, middles = float(MARGIN), []
    for root in roots:
        middle, top = branch(root, top)
        middles.append(middle)
    middle = height / 2
    for root, at in zip(roots, middles, strict=True):
        connect(0, middle, at, root.share)
    place(rendering.image_pixels(recording.logits), 0, middle)
    return np.asarray(canvas)


def node_pictures(
    decoder: Decoder, recording: Recording, tree: Tree, level: int
) -> tuple[Units, np.ndarray]:
    """The units of a level's nodes, in order, and their windows before tanh."""
    chosen = np.array(list(tree.nodes[level]), int)
    units = tree.units[level].take(chosen)
    return units, decoder.unit_pictures(recording, level, units)


def _tiles(
    decoder: Decoder, recording: Recording, tree: Tree
) -> list[dict[int, np.ndarray]]:
    levels = []
    for level, nodes in enumerate(tree.nodes):
        _, pictures = node_pictures(decoder, recording, tree, level)
        levels.append(
            {
                unit: rendering.tile(picture, SIDES[level + 1])
                for unit, picture in zip(nodes, pictures, strict=True)
            }
        )
    return levels


def _branches(node: Node) -> tuple:
    return node.children[: BRANCHES[min(node.level + 1, len(BRANCHES) - 1)]]


def _leaves(tree: Tree, node: Node) -> int:
    below = (tree.nodes[node.level + 1][edge.node] for edge in _branches(node))
    return sum(_leaves(tree, child) for child in below) or 1


def _thickness(flow: float) -> int:
    return max(1, round(12 * np.sqrt(max(flow, 0.0))))


def _rgb(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(3, axis=-1) if pixels.shape[-1] == 1 else pixels
