"""Imports point one way: the table of the house, read off the sources."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "hcm_tf"
# What each part may import of ours; experiment, the composition root, may import all.
ALLOWED = {
    "config": set(),
    "errors": set(),
    "sparsity": set(),
    "averaging": set(),
    "metrics": set(),
    "losses": {"sparsity"},
    "config_flags": {"config"},
    "kernels": {"sparsity"},
    "activation": set(),
    "bisection": {"sparsity"},
    "active_rows": set(),
    "winograd": set(),
    "convolution": {"winograd", "kernels"},
    "optimizer": set(),
    "recomputation": set(),
    "execution": {
        *(
            "sparsity",
            "kernels",
            "bisection",
            "convolution",
            "activation",
            "active_rows",
        ),
    },
    "layers": {"sparsity", "kernels", "execution"},
    "networks": {
        "sparsity",
        "execution",
        "layers",
        "recomputation",
        "config",
        "networks",
    },
    "data": {"config", "errors", "data"},
    "features": {"config", "errors", "data", "metrics", "features"},
    "pictures": {"data"},
    "devices": {"config", "errors"},
    "trainer": {"losses", "averaging"},
    "evaluation": {"networks"},
    "checkpoint": {"networks", "config", "errors"},
    "run_directory": {"checkpoint", "config", "errors"},
    "callbacks": {"evaluation", "pictures"},
    "explain": {
        *("config", "errors", "networks", "checkpoint", "data"),
        *("evaluation", "pictures", "explain"),
    },
}


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported_parts(path: pathlib.Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "hcm_tf":
                found |= {alias.name for alias in node.names}
            elif node.module.split(".")[0] in ("hcm_tf", "export"):
                found.add(part(node.module) or node.module)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {
                part(name) or name
                for name in names
                if name.split(".")[0] in ("hcm_tf", "export")
            }
    return found


def test_imports_point_one_way():
    checked = set()
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).with_suffix("").parts[0]
        checked.add(own)
        found = imported_parts(path)
        assert "export" not in found, path
        if own in ALLOWED:
            assert found <= ALLOWED[own], f"{path} imports {found - ALLOWED[own]}"
    assert set(ALLOWED) <= checked


def test_only_config_flags_touches_flags():
    for path in PACKAGE.rglob("*.py"):
        if path.name not in ("config_flags.py", "__main__.py"):
            assert "from absl import flags" not in path.read_text(), path
