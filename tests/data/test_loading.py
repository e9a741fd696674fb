import subprocess
import sys

from PIL import Image


def test_a_folder_is_read_without_tensorflow(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(20):
        Image.new("L", (8, 8), number).save(tmp_path / "images" / f"{number}.png")
    code = f"""
import sys
from hcm_tf.config import DataConfig
from hcm_tf.data import load
train, held_out = load(
    DataConfig(dataset="folder:{tmp_path}/images", data_dir="{tmp_path}"), 32, 1
)
assert len(train) == 18 and len(held_out) == 2
assert not {{"tensorflow", "tensorflow_datasets"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
