import json

import jsonschema
import numpy as np
import pytest

from hcm_tf.explain import tree as trees
from hcm_tf.explain.attribution import relative_error
from hcm_tf.explain.choice import choose


@pytest.fixture(scope="module")
def grown(recorded):
    decoder, recording = recorded
    return trees.grow(decoder, recording, roots=4, breadth=3)


def test_edges_into_a_unit_sum_to_its_value(recorded):
    decoder, recording = recorded
    for level in range(len(recording.codes) - 1):
        children = decoder.active(recording, level + 1)
        children = children.take(np.arange(0, children.count, 7))
        parents = decoder.active(recording, level)
        weights = trees.edges(decoder, recording, level, parents, children)
        sums = weights.sum(axis=0, dtype="float64")
        assert relative_error(sums, children.value) <= 1e-5


def test_an_edge_is_the_replay_of_its_parent_alone(sparse):
    decoder, recording = sparse
    shape = recording.codes[1].shape
    parents = decoder.active(recording, 1).take(np.arange(0, 60, 6))
    children = decoder.active(recording, 2)
    weights = trees.edges(decoder, recording, 1, parents, children)
    for index, weight in enumerate(weights):
        code = parents.take(np.array([index])).code(shape)
        replayed = decoder.replay(recording, 1, code[None], until=2)[0]
        expected = replayed[children.row, children.column, children.basis]
        np.testing.assert_allclose(weight, expected, atol=1e-6)


def test_flow_is_conserved(grown):
    for node in grown.walk():
        out = sum(edge.flow for edge in node.children) + node.children_flow
        assert out == pytest.approx(node.share, abs=1e-6)
        if node.level:
            value = sum(edge.weight for edge in node.parents) + node.parents_weight
            assert value == pytest.approx(node.value, rel=1e-4, abs=1e-6)


def test_residuals_are_small(grown):
    assert max(grown.unit_residuals) <= 1e-5
    assert max(grown.edge_residuals) <= 1e-5


def test_every_child_is_a_node_and_the_strongest(recorded, grown):
    _, recording = recorded
    for node in grown.walk():
        assert len(node.children) <= 3
        flows = [edge.flow for edge in node.children]
        assert flows == sorted(flows, reverse=True)
        for edge in node.children:
            assert edge.node in grown.nodes[node.level + 1]
    shares = [grown.nodes[0][unit].share for unit in grown.roots]
    assert shares == sorted(shares, reverse=True)
    below = grown.subtree(0, grown.roots[0])
    assert below[0] is grown.nodes[0][grown.roots[0]]
    assert {node.level for node in below} == set(range(len(recording.codes)))


def test_json_follows_its_schema(grown):
    schema = json.loads(trees.SCHEMA_FILE.read_text())
    values = json.loads(json.dumps(grown.to_json()))
    jsonschema.validate(values, schema)
    ids = {node["id"] for node in values["nodes"]}
    assert len(ids) == len(values["nodes"])
    assert set(values["roots"]) <= ids
    for node in values["nodes"]:
        assert {edge["id"] for edge in node["children"]} <= ids


def test_choice_against_plain_loops(sparse):
    decoder, recording = sparse
    for level in range(4):
        units = decoder.active(recording, level)
        for unit in range(0, units.count, max(1, units.count // 10)):
            row, column, basis = (int(field[unit]) for field in units[:3])
            choice = choose(recording, level, decoder.levels[level], row, column, basis)
            response = recording.responses[level]
            code = recording.codes[level]
            here = [
                (float(response[row, column, other]), other)
                for other in range(response.shape[-1])
                if other != basis
            ]
            strongest = max(value for value, _ in here)
            own = float(response[row, column, basis])
            assert choice.lead == pytest.approx(own - strongest)
            assert choice.rank == 1 + sum(value > own for value, _ in here)
            assert choice.rivals[0].response == strongest
            for rival in choice.rivals:
                assert rival.kept == (code[row, column, rival.basis] != 0)
            if level == 0:
                competitors = zip(response[row, column], code[row, column], strict=True)
            else:
                competitors = zip(
                    response[..., basis].flat, code[..., basis].flat, strict=True
                )
            rejected = [float(r) for r, c in competitors if r != c]
            if rejected:
                assert choice.margin == pytest.approx(own - max(rejected))
                assert choice.margin > 0
            else:
                assert choice.margin is None


def test_dense_control_rejects_nothing(recorded):
    decoder, recording = recorded
    attributes = decoder.generator.levels[0]
    if attributes.k < attributes.competitors:
        pytest.skip("not the dense control")
    for level in range(len(recording.codes)):
        units = decoder.active(recording, level)
        place = [int(field[0]) for field in units[:3]]
        assert choose(recording, level, decoder.levels[level], *place).margin is None


def test_bad_arguments(sparse):
    with pytest.raises(ValueError, match="`roots` and `breadth` must be at least 1"):
        trees.grow(*sparse, roots=0)
