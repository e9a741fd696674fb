"""The AND-OR tree of one image: what composes what, and what won where.

A node is an active unit. An edge from a unit to one of the next level is the part of
the latter's value that the former alone produces through the recorded gates; the edges
into a unit sum to its value. The *flow* of an edge is the share of the image that
reaches it that way: share(child) * edge / value(child). The flows into a unit sum to
its share, and so do the flows out of it: nothing is lost on the way from the
attributes to the image.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from hcm_tf.explain.attribution import Attribution, attribute, relative_error
from hcm_tf.explain.choice import Choice, choose
from hcm_tf.explain.decoder import Decoder, Recording
from hcm_tf.explain.names import Names, key
from hcm_tf.explain.units import Units

SCHEMA_VERSION = 1
SCHEMA_FILE = pathlib.Path(__file__).with_name("tree.schema.json")
ROOTS = 8
BREADTH = 4
PARENTS = 3


@dataclasses.dataclass(frozen=True)
class Edge:
    """A contribution of one unit to one of the next level.

    Attributes:
        node: index of the unit at the other end, in its level's list of units.
        weight: part of the child's value that this parent produced.
        flow: share of the image that passes along this edge.
    """

    node: int
    weight: float
    flow: float


@dataclasses.dataclass(frozen=True)
class Node:
    """One active unit in the tree.

    Attributes:
        level: level of the unit.
        unit: its index in the level's list of units.
        row, column, basis, value: see `Units`.
        name: what people call its basis function, or nothing; see `names`.
        share: of the energy of the image before tanh.
        choice: how it was selected (OR).
        children: the strongest units it composes into, by flow (AND), a part of all.
        children_flow: flow of the children that are not listed; with those that are
            it adds up to the share.
        parents: the strongest units it is composed of, by weight.
        parents_weight: weight of the parents that are not listed; with those that are
            it adds up to the value. At level 0 nothing is below: None.
    """

    level: int
    unit: int
    row: int
    column: int
    basis: int
    value: float
    name: str
    share: float
    choice: Choice
    children: tuple[Edge, ...]
    children_flow: float
    parents: tuple[Edge, ...]
    parents_weight: float | None


@dataclasses.dataclass(frozen=True)
class Tree:
    """The AND-OR tree of one image, pruned to the strongest.

    Attributes:
        level_names: names of the sparse levels, lowest first.
        units: all active units of each level, before pruning.
        roots: units of level 0 the tree starts from, strongest first.
        nodes: for each level its nodes, by unit index.
        unit_residuals: for each level, how far the sum of all units' pictures is from
            the image before tanh, relative to its largest value.
        edge_residuals: for each level, how far the edges into the tree's units are
            from summing to their values, relative to the largest; 0 for level 0.
    """

    level_names: tuple[str, ...]
    units: tuple[Units, ...]
    roots: tuple[int, ...]
    nodes: tuple[dict[int, Node], ...]
    unit_residuals: tuple[float, ...]
    edge_residuals: tuple[float, ...]

    def walk(self) -> Iterator[Node]:
        """All nodes, level by level."""
        for level in self.nodes:
            yield from level.values()

    def subtree(self, level: int, unit: int) -> list[Node]:
        """A node and everything listed below it, without repetition."""
        found = [self.nodes[level][unit]]
        for node in found:
            for edge in node.children:
                child = self.nodes[node.level + 1][edge.node]
                if child not in found:
                    found.append(child)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `tree.schema.json` describes them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "levels": [
                {
                    "name": name,
                    "active_units": self.units[level].count,
                    "unit_residual": self.unit_residuals[level],
                    "edge_residual": self.edge_residuals[level],
                }
                for level, name in enumerate(self.level_names)
            ],
            "roots": [identifier(0, unit) for unit in self.roots],
            "nodes": [self._node_to_json(node) for node in self.walk()],
        }

    def name(self, level: int, unit: int) -> str:
        """What people and command lines call a unit, such as "16x16:5,7:103"."""
        row, column, basis = (int(field[unit]) for field in self.units[level][:3])
        return f"{self.level_names[level]}:{row},{column}:{basis}"

    def _node_to_json(self, node: Node) -> dict[str, Any]:
        return {
            **({"name": node.name} if node.name else {}),
            "id": identifier(node.level, node.unit),
            "unit": self.name(node.level, node.unit),
            "level": node.level,
            "row": node.row,
            "column": node.column,
            "basis": node.basis,
            "value": node.value,
            "share": node.share,
            "rank": node.choice.rank,
            "lead": node.choice.lead,
            "margin": node.choice.margin,
            **({} if node.choice.gate == 1.0 else {"gate": node.choice.gate}),
            **({"always": True} if node.choice.always else {}),
            "rivals": [dataclasses.asdict(rival) for rival in node.choice.rivals],
            "children": self._edges_to_json(node.level + 1, node.children),
            "other_children_flow": node.children_flow,
            "parents": self._edges_to_json(node.level - 1, node.parents),
            "other_parents_weight": node.parents_weight,
        }

    def _edges_to_json(
        self, level: int, listed: tuple[Edge, ...]
    ) -> list[dict[str, Any]]:
        return [
            {
                "id": identifier(level, edge.node),
                "unit": self.name(level, edge.node),
                "weight": edge.weight,
                "flow": edge.flow,
            }
            for edge in listed
        ]


def identifier(level: int, unit: int) -> str:
    """What JSON and page call a node: "level-unit"."""
    return f"{level}-{unit}"


def grow(
    decoder: Decoder,
    recording: Recording,
    *,
    attributions: list[Attribution] | None = None,
    roots: int = ROOTS,
    breadth: int = BREADTH,
    names: Names | None = None,
) -> Tree:
    """Builds the tree of one image.

    Args:
        decoder: of the generator.
        recording: the image.
        attributions: of all levels, if they are known already.
        roots: attributes to start from, those with the largest shares.
        breadth: children listed for each node, those with the largest flows.
        names: of basis functions, if there are any.

    Raises:
        ValueError: `roots` or `breadth` is below 1.
    """
    if roots < 1 or breadth < 1:
        raise ValueError(
            f"`roots` and `breadth` must be at least 1. Received: {roots} and {breadth}"
        )
    levels = range(len(decoder.level_names))
    if attributions is None:
        attributions = [attribute(decoder, recording, level) for level in levels]
    chosen = [attributions[0].order[:roots]]
    children, below = [], []
    for level in levels[:-1]:
        listed, rest = _children(
            decoder, recording, attributions[level : level + 2], chosen[-1], breadth
        )
        children.append(listed)
        below.append(rest)
        chosen.append(_union(listed, attributions[level + 1]))
    last = attributions[-1]
    children.append([()] * len(chosen[-1]))
    # Units of the last level go straight into the image.
    below.append([float(last.share[unit]) for unit in chosen[-1]])
    parents = [([()] * len(chosen[0]), [None] * len(chosen[0]), 0.0)]
    for level in levels[:-1]:
        parents.append(
            _parents(
                decoder, recording, attributions[level : level + 2], chosen[level + 1]
            )
        )
    nodes = []
    for level in levels:
        attribution, row = attributions[level], {}
        for position, unit in enumerate(chosen[level]):
            unit = int(unit)
            place = [int(field[unit]) for field in attribution.units[:3]]
            row[unit] = Node(
                level=level,
                unit=unit,
                row=place[0],
                column=place[1],
                basis=place[2],
                value=float(attribution.units.value[unit]),
                name=(names or {}).get(key(decoder.levels[level], *place), ""),
                share=float(attribution.share[unit]),
                choice=choose(recording, level, decoder.levels[level], *place),
                children=children[level][position],
                children_flow=below[level][position],
                parents=parents[level][0][position],
                parents_weight=parents[level][1][position],
            )
        nodes.append(row)
    return Tree(
        level_names=tuple(decoder.level_names),
        units=tuple(attribution.units for attribution in attributions),
        roots=tuple(int(unit) for unit in chosen[0]),
        nodes=tuple(nodes),
        unit_residuals=tuple(attribution.residual for attribution in attributions),
        edge_residuals=tuple(residual for _, _, residual in parents),
    )


def edges(
    decoder: Decoder,
    recording: Recording,
    level: int,
    parents: Units,
    children: Units,
    what: str = "",
) -> np.ndarray:
    """The part of each child's value that each parent alone produces.

    Args:
        level: level of the parents; the children are units of the next.

    Returns:
        float32 `(parents, children)`. Over all active parents a column sums to the
        child's value.
    """
    windows = decoder.windows(recording, level, level + 1)
    weights = np.zeros((parents.count, children.count), "float32")
    for index, which, maps in decoder.decode(
        recording, level, parents, until=level + 1, what=what
    ):
        top, left = windows.corners(parents.take(index))
        inside = _between(children.row, top, windows.side) & _between(
            children.column, left, windows.side
        )
        parent, child = np.nonzero(inside)
        weights[index[parent], child] = maps[
            which[parent],
            children.row[child],
            children.column[child],
            children.basis[child],
        ]
    return weights


def write_json(path: pathlib.Path, tree: Tree) -> None:
    """Writes the tree as JSON."""
    path.write_text(json.dumps(tree.to_json(), indent=1) + "\n")


def _between(value: np.ndarray, low: np.ndarray, side: int) -> np.ndarray:
    return (value >= low[:, None]) & (value < low[:, None] + side)


def _children(
    decoder: Decoder,
    recording: Recording,
    attributions: list[Attribution],
    chosen: np.ndarray,
    breadth: int,
) -> tuple[list[tuple[Edge, ...]], list[float]]:
    """For each chosen unit its strongest children, and the flow of the others."""
    lower, upper = attributions
    weights = edges(
        decoder, recording, lower.level, lower.units.take(chosen), upper.units
    ).astype("float64")
    flows = weights * (upper.share / upper.units.value)
    listed, rest = [], []
    for weight, flow in zip(weights, flows, strict=True):
        strongest = np.argsort(-flow, kind="stable")[:breadth]
        strongest = strongest[flow[strongest] > 0]
        listed.append(_edges(strongest, weight, flow))
        rest.append(float(flow.sum() - flow[strongest].sum()))
    return listed, rest


def _parents(
    decoder: Decoder,
    recording: Recording,
    attributions: list[Attribution],
    chosen: np.ndarray,
) -> tuple[list[tuple[Edge, ...]], list[float | None], float]:
    """For each chosen child its strongest parents, the rest, and the residual."""
    lower, upper = attributions
    children = upper.units.take(chosen)
    name = decoder.level_names[upper.level]
    weights = edges(
        decoder,
        recording,
        lower.level,
        lower.units,
        children,
        what=f"Edges into {name}",
    ).astype("float64")
    sums = weights.sum(axis=0)
    listed, rest = [], []
    for position, unit in enumerate(chosen):
        weight = weights[:, position]
        strongest = np.argsort(-np.abs(weight), kind="stable")[:PARENTS]
        strongest = strongest[weight[strongest] != 0]
        flow = weight * (upper.share[unit] / upper.units.value[unit])
        listed.append(_edges(strongest, weight, flow))
        rest.append(float(sums[position] - weight[strongest].sum()))
    residual = relative_error(sums, children.value) if len(chosen) else 0.0
    return listed, rest, residual


def _edges(units: np.ndarray, weight: np.ndarray, flow: np.ndarray) -> tuple[Edge, ...]:
    return tuple(
        Edge(int(unit), float(weight[unit]), float(flow[unit])) for unit in units
    )


def _union(listed: list[tuple[Edge, ...]], attribution: Attribution) -> np.ndarray:
    """The units that any node lists, from the largest share to the smallest."""
    units = sorted({edge.node for edges in listed for edge in edges})
    units = np.array(units, int)
    return units[np.argsort(-attribution.share[units], kind="stable")]
