"""One self-contained page: the table, and the pictures behind its numbers."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hcm_tf.evaluate import table
from hcm_tf.images import encode_png, grid

COLUMNS = 16
LONG = 24  # Letters; a longer cell is broken into lines.
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 76rem; margin: 0 auto; padding: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem; text-align: right; vertical-align: top; }
thead th, td { white-space: nowrap; }
td.long { white-space: normal; max-width: 15rem; }
th[scope=row] { font-weight: normal; text-align: left; max-width: 26rem; }
th[scope=rowgroup] { text-align: left; }
tbody tr:nth-child(even) { background: rgb(128 128 128 / .12); }
tr.section th { padding-top: .9rem; border-bottom: 1px solid; }
figure { margin: 1rem 0; }
img { max-width: 100%; image-rendering: pixelated; }
figcaption, .about { opacity: .8; max-width: 60rem; }
"""


class Picture(NamedTuple):
    """Images behind a number: uint8 `(n, size, size, channels)`, and what they are."""

    title: str
    caption: str
    images: np.ndarray
    columns: int = COLUMNS


def page(
    results: Mapping[str, dict[str, Any]], pictures: Mapping[str, Sequence[Picture]]
) -> str:
    """The page; it loads nothing, and needs no script.

    Args:
        results: by the run's name, what `evaluation.json` holds.
        pictures: of each run.
    """
    body = ["<h1>Evaluation</h1>"]
    # Numbers say little to who has not seen what they are of.
    for run, result in results.items():
        body.append(f'<p class="about">{_about(run, result)}</p>')
        body += [_figure(picture) for picture in pictures.get(run, ())[:1]]
    body += [
        '<div class="scroll">',
        _table(results),
        "</div>",
        "<h2>What the measures see</h2>",
        *(f"<p>{html.escape(line)}</p>" for line in _sees(results)),
    ]
    for run, found in pictures.items():
        body.append(f"<h2>More pictures of {html.escape(run)}</h2>")
        body += [_figure(picture) for picture in found[1:]]
    stored = json.dumps(results).replace("<", "\\u003c")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "img-src data:; style-src 'unsafe-inline'\">",
            '<link rel="icon" href="data:,">',
            f"<title>Evaluation</title><style>{_STYLE}</style></head><body>",
            *body,
            f'<script type="application/json" id="data">{stored}</script>',
            "</body></html>\n",
        ]
    )


def _about(run: str, result: dict[str, Any]) -> str:
    made = result["provenance"]
    text = (
        f"{run}: step {made['step']:,} on {made['dataset']}; {made['count']:,} samples "
        f"of the seeds from {made['seed']}. {made['rule']}."
    )
    return html.escape(text)


def _table(results: Mapping[str, dict[str, Any]]) -> str:
    head = ["", *results, "real images"]
    lines = ["<table><thead><tr>"]
    lines += [f'<th scope="col">{html.escape(cell)}</th>' for cell in head]
    lines.append("</tr></thead><tbody>")
    section = None
    for row in table.rows(results):
        if row.section != section:
            section = row.section
            lines.append(
                f'<tr class="section"><th scope="rowgroup" colspan="{len(head)}">'
                f"{html.escape(section)}</th></tr>"
            )
        name = row.name + (f" ({row.better} is better)" if row.better else "")
        cells = "".join(map(_cell, (*row.cells, row.floor)))
        lines.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    lines.append("</tbody></table>")
    return "".join(lines)


def _cell(text: str) -> str:
    kind = ' class="long"' if len(text) > LONG else ""
    return f"<td{kind}>{html.escape(text)}</td>"


def _sees(results: Mapping[str, dict[str, Any]]) -> list[str]:
    """One line for each extractor, and for each rule, of any run."""
    lines = {
        f"{name}: {found['sees']}": None
        for result in results.values()
        for name, found in result.get("samples", {}).get("features", {}).items()
    }
    for result in results.values():
        if "rule" in result.get("faces", {}):
            lines[f"sure: {result['faces']['rule']}."] = None
    return list(lines)


def _figure(picture: Picture) -> str:
    pixels = grid(picture.images, picture.columns, gap=1)
    encoded = base64.b64encode(encode_png(pixels)).decode()
    title, caption = html.escape(picture.title), html.escape(picture.caption)
    return (
        f"<h3>{title}</h3><figure>"
        f'<img alt="{title}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
