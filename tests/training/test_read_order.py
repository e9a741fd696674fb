"""In the graph that runs, every variable is read before or after its new value.

TensorFlow orders a function's reads and writes of a variable by control edges, and its
graph optimizer then drops some. A read that is left without order gives now the old
value, now the new one, and no run is repeated bit for bit.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from hcm_tf.config import TrainConfig
from hcm_tf.runs import building, devices

RECIPE = {
    "objective": "relativistic",
    "latents": "posterior",
    "r1_weight": 0.3,
    "r2_weight": 0.3,
    "leak_steps": 5,
    "cooldown_steps": 4,
    "revival_weight": 0.1,
    "augment": ("color", "translation", "cutout"),
    "steps": 10,
}


def optimized_graph(function, *arguments):
    """The graph of a function as it was executed, by TensorFlow's own record."""
    context.context().enable_run_metadata()
    try:
        function(*arguments)
        record = context.context().export_run_metadata()
    finally:
        context.context().disable_run_metadata()
    graphs = [graphs.post_optimization_graph for graphs in record.function_graphs]
    return max(graphs, key=lambda graph: len(graph.node))


def source(entry):
    """The node that an input comes from; '^' marks a control edge."""
    return entry.lstrip("^").split(":")[0]


def unordered(graph):
    """Writes and other uses of one variable of which neither comes before the other."""
    nodes = {node.name: node for node in graph.node}
    before = {}

    def visit(name):
        pending = [name]
        while pending:
            last = pending[-1]
            inputs = {source(entry) for entry in nodes[last].input}
            missing = [one for one in inputs if one not in before]
            if missing:
                pending += missing
                continue
            before[last] = inputs.union(*(before[one] for one in inputs))
            pending.pop()

    for name in nodes:
        if name not in before:
            visit(name)
    uses = {}
    for node in graph.node:
        if node.op.startswith(("ReadVariable", "Assign", "Resource")):
            uses.setdefault(source(node.input[0]), []).append(node)
    pairs = [
        (write.name, use.name)
        for users in uses.values()
        for write in users
        for use in users
        if not write.op.startswith("ReadVariable") and use is not write
        if write.name not in before[use.name] and use.name not in before[write.name]
    ]
    return pairs, sum(len(users) > 1 for users in uses.values())


@pytest.mark.parametrize(
    ("values", "replicas"),
    [({}, 1), (RECIPE, 1), (RECIPE, 2)],
    ids=["published", "recipe", "replicas"],
)
def test_every_read_has_its_place(tiny_config, values, replicas):
    config = dataclasses.replace(
        tiny_config, train=TrainConfig(batch_size=8, ema_decay=0.9, **values)
    )
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    strategy = devices.mirrored(names[:replicas])
    with strategy.scope():
        trainer = building.build_trainer(config, replicas)
    step = tf.function(
        lambda batch: strategy.run(trainer.train_step, args=({"image": batch},)),
        autograph=False,
    )
    images = tf.constant(np.zeros((8 // replicas, 32, 32, 3), "float32"))
    pairs, written = unordered(optimized_graph(step, images))
    assert written > 40
    assert pairs == []


def test_a_read_without_order_is_found():
    graph = tf.compat.v1.GraphDef()
    for name, op, inputs in (
        ("variable", "_Arg", []),
        ("value", "Const", []),
        ("read", "ReadVariableOp", ["variable"]),
        ("ordered", "ReadVariableOp", ["variable"]),
        ("write", "AssignVariableOp", ["variable", "value", "^ordered"]),
    ):
        graph.node.add(name=name, op=op, input=inputs)
    assert unordered(graph) == ([("write", "read")], 1)
