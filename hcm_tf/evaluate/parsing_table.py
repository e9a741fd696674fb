"""Scores of parsed scenes as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from hcm_tf.evaluate import scene_counts, scene_scores

# Of soft masks, beside the scores of label maps.
BEST_IOU = "best IoU"


def markdown(results: Mapping[str, dict[str, Any]]) -> str:
    """Markdown for runs on the same scenes, with what needs no training.

    Args:
        results: what `parsing.evaluate` stores of each run, by its name.
    """
    heading = ["run", "segments", *scene_scores.SCORES, BEST_IOU]
    lines = [line(heading), "|" + "---|" * len(heading)]
    for run, found in results.items():
        lines += [_row(run, name, one) for name, one in found["rows"].items()]
        for name, one in found.get("refined", {}).items():
            count = one["count"]
            lines.append(_row(run, f"{name}, {count} refined", one["refined"]))
            same = one["same_scenes_encoded"]
            lines.append(_row(run, f"{name}, the same {count}", same))
        lines += [
            _row(f"{run}, random weights", name, one)
            for name, one in found["random_weights"].items()
        ]
    *_, last = results.values()
    lines += [
        _row("without training", name, one)
        for name, one in last["without_training"].items()
    ]
    return "\n".join(lines)


def counts_markdown(results: Mapping[str, dict[str, Any]]) -> str:
    """Markdown of how well objects are counted, for runs on the same scenes.

    Args:
        results: as of `markdown`.
    """
    measures = (scene_counts.ACCURACY, scene_counts.ERROR)
    heading = ["run", "objects counted by", *measures]
    lines = [line(heading), "|" + "---|" * len(heading)]
    lines += [
        line([run, name, *(cell(one[measure]) for measure in measures)])
        for run, found in results.items()
        for name, one in found["counts"].items()
    ]
    return "\n".join(lines)


def faults_markdown(results: Mapping[str, dict[str, Any]]) -> str:
    """Markdown of how many objects are split, merged or missed.

    Args:
        results: as of `markdown`.

    Returns:
        Empty if no run places its parts freely.
    """
    heading = ["run", "segments", *scene_scores.FAULTS]
    lines = [
        line([run, name, *(str(one[fault]) for fault in scene_scores.FAULTS)])
        for run, found in results.items()
        for name, one in found["faults"].items()
    ]
    if not lines:
        return ""
    return "\n".join([line(heading), "|" + "---|" * len(heading), *lines])


def _row(run: str, name: str, found: Mapping[str, scene_scores.Summary]) -> str:
    cells = [
        cell(found[score]) if score in found else "-"
        for score in (*scene_scores.SCORES, BEST_IOU)
    ]
    return line([run, name, *cells])


def cell(found: scene_scores.Summary) -> str:
    if found["mean"] is None:
        return "-"
    error = "" if found["error"] is None else f" ± {found['error']:.3f}"
    return f"{found['mean']:.3f}{error}"


def line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
