import dataclasses

import numpy as np
import pytest

from benchmarks import explanation, explanation_study
from hcm_tf.config import ModelConfig

SPARSE = ModelConfig(base_channels=2, attributes=20, latent_size=10)
DENSE = dataclasses.replace(SPARSE, attribute_keep=1.0, spatial_keep=(1.0,))


@pytest.fixture(scope="module")
def runs(make_run):
    """A sparse run and its dense control, never trained."""
    return {"sparse": make_run(model=SPARSE), "dense": make_run(model=DENSE)}


@pytest.fixture(autouse=True)
def faces(monkeypatch):
    """Four faces with two parts, of which one is absent in the last face."""
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (4, 64, 64, 3)).astype("uint8")
    masks = {name: np.zeros((4, 64, 64), bool) for name in ("eyes", "mouth")}
    masks["eyes"][:, 20:28, 16:48] = True
    masks["mouth"][:3, 44:52, 24:40] = True
    monkeypatch.setattr(
        explanation_study.data, "load_parts", lambda config: (images, masks)
    )


def test_tables_of_both_runs(runs, tmp_path, capsys):
    out = tmp_path / "tables.md"
    arguments = [
        f"--run_dir={runs['sparse']}",
        f"--dense_run_dir={runs['dense']}",
        "--images=3",
        "--units=6",
        "--refine_steps=2",
        f"--out={out}",
    ]
    assert explanation.main(["explanation", *arguments]) == 0
    printed = capsys.readouterr().out
    assert out.read_text() == printed
    for text in ("| attributes |", "AUC, sparse", "AUC, dense", "m = 1024, dense"):
        assert text in printed
    assert printed.count("| 32x32 |") == 3


def test_measured_values_are_in_range(runs):
    result = explanation_study.measure(
        runs["sparse"], images=4, units=8, refine_steps=0, seed=0
    )
    assert result.error[0] == result.error[1]
    for name, level in result.levels.items():
        assert 0.5 < level.auc[0] <= 1.0
        assert 0 <= level.iou[0] <= 1.0
        assert 0 < level.area < 1.0
        assert 0 < level.leakage[0] <= 1.0
        assert level.explained[0] < 1.0
        # A unit of a few cells cannot fill the image.
        if name == "32x32":
            assert level.area <= (10 / 64) ** 2
    assert result.levels["attributes"].active == pytest.approx(32, abs=1)


def test_a_run_without_part_masks_is_refused(tiny_run, capsys):
    assert explanation.main(["explanation", f"--run_dir={tiny_run}"]) == 1
    error = capsys.readouterr().err.strip()
    assert "part masks exist for avatars at 64, in colour" in error
    assert len(error.splitlines()) == 1
    assert explanation.main(["explanation"]) == 1
    assert explanation.main(["explanation", "--run_dir=x", "y"]) == 1
