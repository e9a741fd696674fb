"""The studio without a server: a folder for any static host, and one file for any disk.

A page that is opened from a disk may load no module and no worker from a file. So all
modules are put into one script, each in a function of its own, in the order of their
imports, and worker and networks lie in the page as text. That is less than a bundler
does, and asks something of the page's modules: imports and exports by name, each on a
line that begins with the word, and no circles.
"""

import base64
import hashlib
import pathlib
import re
from collections.abc import Iterator

from hcm_tf import files
from hcm_tf.studio import model_file
from hcm_tf.studio.engine import Engine
from hcm_tf.studio.server import PAGE

POLICY = (
    "default-src 'none'; script-src {script}; worker-src {worker}; style-src {style}; "
    "connect-src {connect}; img-src 'self' blob: data:; base-uri 'none'; "
    "form-action 'none'"
)
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(
    r"^export ((?:async )?(?:const|class|function) (\w+))", re.MULTILINE
)


def write(directory: pathlib.Path, engine: Engine) -> None:
    """Writes the page's files, `model.bin`, and `studio.html`, which needs none.

    Args:
        directory: where to; made.
        engine: of the run that the page draws.

    Raises:
        UserError: the networks are too large for a browser.
    """
    networks = model_file.pack(engine)
    page = (PAGE / "index.html").read_text()
    page = page.replace('data-engine="server"', 'data-engine="browser"')
    policy = POLICY.format(
        script="'self'", worker="'self'", style="'self'", connect="'self'"
    )
    for path in PAGE.iterdir():
        if path.suffix in (".js", ".css"):
            files.write(directory / path.name, path.read_bytes())
    files.write(directory / "model.bin", networks)
    files.write(directory / "index.html", _with_policy(page, policy))
    files.write(directory / "studio.html", one_file(page, networks))


def one_file(page: str, networks: bytes) -> str:
    """The page with its style, scripts, worker and networks inside."""
    style = (PAGE / "studio.css").read_text()
    script = joined("main.js")
    worker = joined("worker.js")
    policy = POLICY.format(
        script=_hash(script), worker="blob:", style=_hash(style), connect="'none'"
    )
    page = _with_policy(page, policy)
    page = _replaced(
        page,
        '<link rel="stylesheet" href="studio.css">',
        f"<style>{style}</style>",
    )
    page = _replaced(page, '<script type="module" src="main.js"></script>\n', "")
    text = base64.b64encode(networks).decode()
    inside = (
        f'<script type="text/plain" id="worker-source">{worker}</script>\n'
        f'<script type="text/plain" id="model-file">{text}</script>\n'
        f"<script>{script}</script>\n</body>"
    )
    return _replaced(page, "</body>", inside)


def joined(entry: str) -> str:
    """A module and all that it imports as one script that is none."""
    script = "\n".join(_in_order(entry, set()))
    if "</script" in script.lower():
        raise ValueError(f"a module of {entry} would end the script that holds it")
    return f'"use strict";\n(() => {{\nconst modules = {{}};\n{script}}})();\n'


def _in_order(name: str, seen: set[str]) -> Iterator[str]:
    seen.add(name)
    text = (PAGE / name).read_text()
    for _, imported in _IMPORT.findall(text):
        if imported not in seen:
            yield from _in_order(imported, seen)
    exported = ", ".join(found for _, found in _EXPORT.findall(text))
    text = _IMPORT.sub(r'const \1 = modules["\2"];', text)
    text = _EXPORT.sub(r"\1", text)
    yield f'modules["{name}"] = (() => {{\n{text}return {{ {exported} }};\n}})();\n'


def _with_policy(page: str, policy: str) -> str:
    charset = '<meta charset="utf-8">\n'
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    return _replaced(page, charset, charset + meta)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"the page has no {old!r}")
    return text.replace(old, new, 1)
