"""Imports point one way: the house, floor by floor, read off the sources."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "hcm_tf"
# What each room uses of the others, exactly: a new module or arrow must be named here.
# A room stands below every room that uses it; `test_no_arrow_points_up` checks that.
USES = {
    "version": "",
    "startup": "",
    "errors": "",
    "files": "errors",
    "images": "files",
    "config": "",
    "config_flags": "config",
    "command": "errors",
    "metrics": "",
    "sparsity": "",
    "prior": "",
    "losses": "sparsity",
    "operations": "sparsity",
    "layers": "operations sparsity",
    "networks": "config layers operations sparsity",
    "training": "layers losses networks operations prior sparsity",
    "data": "config errors files",
    "labels": "config data errors",
    "features": "config data errors images metrics startup",
    "runs": (
        "config data errors files images labels losses networks operations prior "
        "training"
    ),
    "explain": (
        "command config data errors files images labels metrics networks operations "
        "prior runs startup"
    ),
    "studio": "command errors explain files labels layers networks prior runs startup",
    "evaluate": (
        "command config data errors explain features files images labels metrics "
        "networks operations prior runs startup version"
    ),
    "sample": "command errors files images prior runs startup",
    "": "layers networks runs startup version",
}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def rooms_used(path: pathlib.Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "hcm_tf":
                found |= {alias.name for alias in node.names}
            elif node.module.split(".")[0] in ("hcm_tf", "export", "benchmarks"):
                found.add(room(node.module) or node.module)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {
                room(name) or name
                for name in names
                if name.split(".")[0] in ("hcm_tf", "export", "benchmarks")
            }
    return found


def own_room(path: pathlib.Path) -> str:
    first = path.relative_to(PACKAGE).with_suffix("").parts[0]
    return "" if first == "__init__" else first


def test_every_room_uses_what_the_table_says():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        own = own_room(path)
        found.setdefault(own, set()).update(rooms_used(path) - {own})
    assert found == {own: set(names.split()) for own, names in USES.items()}


def test_no_arrow_points_up():
    built = set()
    for own, names in USES.items():
        later = set(names.split()) - built
        assert not later, f"{own or 'hcm_tf'} uses {later}, which stand above it"
        built.add(own)


def test_only_commands_touch_flags():
    homes = ("config_flags.py", "command.py", "__main__.py", "sample.py", "evaluate.py")
    for path in PACKAGE.rglob("*.py"):
        if path.name not in homes:
            assert "from absl import flags" not in path.read_text(), path


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by their names alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
