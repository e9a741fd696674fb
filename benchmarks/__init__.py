"""Speed and memory on the machine at hand: `python -m benchmarks.NAME`."""

import os

# As hcm_tf.startup does for every command; here for the plain twins too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
