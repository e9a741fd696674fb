"""Runs signatures by TensorFlow's saved_model_cli; no code of the project is needed.

python -I saved_model_cli_runner.py < jobs: each line is the JSON list of the flags of
one `saved_model_cli run`. One process runs them all, because starting TensorFlow takes
longer than the rest.
"""

import json
import sys

from absl import flags
from tensorflow.python.tools import saved_model_cli

for line in sys.stdin:
    flags.FLAGS.unparse_flags()
    flags.FLAGS(["saved_model_cli", *json.loads(line)])
    saved_model_cli.run()
project = {"hcm_tf", "export"} & {name.split(".")[0] for name in sys.modules}
if project:
    sys.exit(f"code of the project was imported: {project}")
