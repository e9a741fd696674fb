"""Pictures of another kind, to fine-tune a trained model on.

    python -m benchmarks.peeps --out=peeps/ [--count=300]

Heads in DiceBear's style Open Peeps (Pablo Stanley, CC0 1.0), 64x64, numbered: a
picture is a pure function of its number.
"""

import argparse
import importlib.resources
import json
import pathlib

import resvg_py
from dicebear import Avatar, Style

from hcm_tf import files

SIZE = 64
BACKGROUNDS = ["#bfe3f2", "#d7c8f0", "#c4ebc6", "#f5a8bd"]


def main() -> None:
    """Flags -> pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    source = importlib.resources.files("dicebear_styles") / "open-peeps.json"
    style = Style(json.loads(source.read_text(encoding="utf-8")))
    for number in range(options.count):
        avatar = Avatar(style, {"seed": str(number), "backgroundColor": BACKGROUNDS})
        png = resvg_py.svg_to_bytes(
            svg_string=str(avatar), width=SIZE, height=SIZE, skip_system_fonts=True
        )
        files.write(options.out / f"{number:04d}.png", bytes(png))
    print(f"{options.out}: {options.count} pictures")


if __name__ == "__main__":
    main()
