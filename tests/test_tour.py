"""The tour, docs/tour.ipynb, cell by cell on a tiny run, as Jupyter would run it."""

import ast
import itertools
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[1]
TOUR = ROOT / "docs" / "tour.ipynb"
CELLS = json.loads(TOUR.read_text())["cells"]
LARGEST = 600_000  # Bytes of the notebook, whose pictures are to stay small.


def code_cells():
    return [cell for cell in CELLS if cell["cell_type"] == "code"]


def displayed(cell, namespace, name):
    """Runs a cell; the value of the expression at its end, which Jupyter displays."""
    tree = ast.parse("".join(cell["source"]), name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    if last is not None:
        return eval(compile(ast.Expression(last.value), name, "eval"), namespace)
    return None


@pytest.fixture(scope="module")
def toured(tiny_run):
    """All names of the tour, and what each code cell displays."""
    namespace, shown = {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HCM_RUN", str(tiny_run))
        for number, cell in enumerate(code_cells()):
            name = f"{TOUR.name}, code cell {number}"
            shown.append(displayed(cell, namespace, name))
    return namespace, shown


def test_pictures_are_stored_where_they_are_shown(toured):
    _, shown = toured
    for cell, value in zip(code_cells(), shown, strict=True):
        stored = [output.get("data", {}) for output in cell["outputs"]]
        assert isinstance(value, Image.Image) == any("image/png" in o for o in stored)


def test_what_is_drawn_is_the_run(toured):
    tour, shown = toured
    expected = tour["run"].sample(8, seed=0)
    pixels = np.rint((expected[0] + 1) * 127.5)
    corner = np.asarray(shown[1], "float32")[:32, :32]
    np.testing.assert_allclose(corner, pixels, atol=1)


def test_parts_sum_to_the_whole(toured):
    tour, _ = toured
    logits = tour["trace"].logits[0].numpy()
    scale = np.abs(logits).max()
    assert scale > 0
    np.testing.assert_allclose(
        np.sum(tour["parts"], axis=0) / scale, logits / scale, atol=1e-5
    )
    assert tour["remainder"] <= 1e-5 * scale
    np.testing.assert_allclose(tour["units"].share.sum(), 1.0, atol=1e-5)
    np.testing.assert_allclose(tour["energy"][[0, -1]], [0.0, 1.0], atol=1e-5)


def test_edit_takes_the_middle_out(toured):
    tour, _ = toured
    code = tour["recording"].codes[0].copy()
    code[1:3, 1:3] = 0.0
    rest = tour["run"].generator.replay(0, code[None], tour["recording"].gates)[0]
    np.testing.assert_allclose(tour["edit"].after, rest, atol=1e-5)
    assert np.abs(tour["picture"]).max() > 0


def test_own_decoder_is_sparse_and_learns(toured):
    tour, _ = toured
    keras, model = tour["keras"], tour["sparse_decoder"]
    (location,) = (x for x in model.layers if isinstance(x, tour["hcm_tf"].ChannelTopK))
    codes = keras.Model(model.input, location.output)(tour["latents"])
    active = np.count_nonzero(codes, axis=-1)
    assert active.max() == location.k
    losses = tour["losses"]
    assert 0 < losses[-1] < 0.9 * losses[0]


def test_every_step_is_told_first():
    kinds = [cell["cell_type"] for cell in CELLS]
    for before, kind in itertools.pairwise(kinds):
        assert (before, kind) != ("code", "code")
    assert len(code_cells()) <= 14
    assert max(len(cell["source"]) for cell in code_cells()) <= 24


def test_stored_outputs_are_whole_small_and_of_no_machine():
    text = TOUR.read_text()
    assert len(text) <= LARGEST
    for number, cell in enumerate(code_cells()):
        kinds = {output["output_type"] for output in cell["outputs"]}
        assert kinds <= {"stream", "execute_result"}, f"cell {number}"
        # The cell that only builds the decoder says nothing.
        assert kinds or "keras.Model(" in "".join(cell["source"])
        for output in cell["outputs"]:
            told = "".join(output.get("text", "")) + str(
                output.get("data", {}).get("text/plain", "")
            )
            assert "WARNING" not in told
            assert "/" not in told.replace("avatars", "")
