"""Images from a model server over REST (version 1 of TensorFlow Serving's API)."""

import base64
import http.client
import json
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence

import numpy as np

from export.prediction import (
    INPUT,
    LABEL,
    LABEL_SIGNATURE,
    MAXIMUM_MESSAGE,
    OUTPUT,
    SIGNATURE,
    Predict,
    Unavailable,
    padded,
    shown,
)
from hcm_tf.errors import UserError

LARGEST_REASON = 2**20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses: of a redirected POST, a GET without its body would arrive."""

    def redirect_request(self, *arguments: object) -> None:
        return None


def rest_predict(url: str, model: str, classes: Sequence[str] = ()) -> Predict:
    """Requests over REST.

    Args:
        url: http://host:port, or https.
        model: its name at the server.
        classes: that all images have, by name.

    Returns:
        The function that asks; it raises Unavailable, TimeoutError, or UserError where
        asking again does not help.

    Raises:
        UserError: not such a URL.
    """
    place = f"{_checked(url)}/v1/models/{urllib.parse.quote(model, safe='')}"
    opener = urllib.request.build_opener(_NoRedirect)
    texts: list[str] = []  # Known once the server has said how many it takes.

    def predict(seeds: np.ndarray, seconds: float) -> list[bytes]:
        nonlocal texts
        end = time.monotonic() + seconds
        # One instance a row: of a signature with one input, the bare value.
        body = {"signature_name": SIGNATURE, "instances": seeds.tolist()}
        if classes:
            texts = texts or padded(classes, labels(seconds))
            rows = [{INPUT: seed, LABEL: texts} for seed in seeds.tolist()]
            body = {"signature_name": LABEL_SIGNATURE, "instances": rows}
        target = f"{place}:predict"
        return _files(ask(target, body, max(0.001, end - time.monotonic())), target)

    def labels(seconds: float) -> int | None:
        target = f"{place}/metadata"
        return _labels(ask(target, None, seconds), target)

    def ask(target: str, body: dict | None, seconds: float) -> bytes:
        request = urllib.request.Request(
            target,
            body and json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            return _within(seconds, lambda: _contents(opener, request, seconds))
        except urllib.error.HTTPError as error:
            reason = _reason(error)
            if error.code == 503:
                raise Unavailable(reason) from error
            raise UserError(f"{target} answered {error.code}: {reason}") from error
        except TimeoutError:
            raise TimeoutError from None  # A socket's own says "timed out".
        except (OSError, http.client.IncompleteRead) as error:
            raise Unavailable(shown(error)) from error
        except http.client.HTTPException as error:
            raise UserError(
                f"{target} did not answer in HTTP ({shown(error)}). Of a port for "
                "gRPC, give host:port without http://"
            ) from error

    return predict


def _checked(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        if not parts.hostname or parts.port == 0 or parts.query or parts.fragment:
            raise ValueError("expected http://host:port")
    except ValueError as error:
        raise UserError(f"--url={url}: {error}") from error
    if not url.isprintable() or " " in url:
        raise UserError(f"--url={url}: expected http://host:port")
    return url.rstrip("/")


def _within(seconds: float, action: Callable[[], bytes]) -> bytes:
    """The result of an action, or TimeoutError; a socket bounds each read alone."""
    outcome = queue.SimpleQueue()

    def work() -> None:
        try:
            outcome.put((action(), None))
        except Exception as error:  # Raised where it is waited for.
            outcome.put((None, error))

    # Not of a pool: the program must be able to end while a server keeps it waiting.
    threading.Thread(target=work, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result


def _contents(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    seconds: float,
) -> bytes:
    try:
        with opener.open(request, timeout=seconds) as response:
            contents = response.read(MAXIMUM_MESSAGE + 1)
            missing = response.length
    except urllib.error.HTTPError as error:
        # Here, where time is bounded; kept for whoever writes the message.
        with error:
            error.body = error.read(LARGEST_REASON)
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, OSError):
            raise error.reason from error
        raise
    if len(contents) > MAXIMUM_MESSAGE:
        raise UserError(f"the server sent more than {MAXIMUM_MESSAGE} bytes")
    if missing:
        raise http.client.IncompleteRead(contents, missing)
    return contents


def _reason(error: urllib.error.HTTPError) -> str:
    """Why a request was refused, in the server's words if it gives any."""
    if 300 <= error.code < 400:
        place = shown(error.headers.get("Location", "nowhere"))
        return f"redirected to {place}; give the address of the server itself"
    try:
        told = json.loads(error.body)["error"]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        told = error.reason
    return shown(told)


def _labels(contents: bytes, target: str) -> int | None:
    """How many texts a model takes, by its metadata; -1: any number, None: none.

    Raises:
        UserError: these are no metadata.
    """
    answer = _json(contents, target)
    try:
        signatures = answer["metadata"]["signature_def"]["signature_def"]
        if LABEL_SIGNATURE not in signatures:
            return None
        shape = signatures[LABEL_SIGNATURE]["inputs"][LABEL]["tensor_shape"]
        return int(shape["dim"][-1]["size"])
    except (IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f"{target} sent JSON that is no model's metadata") from error


def _json(contents: bytes, target: str) -> object:
    try:
        return json.loads(contents)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{target} sent no JSON: {shown(error)}") from error


def _files(contents: bytes, target: str) -> list[bytes]:
    """The PNG files of an answer in row format.

    Raises:
        UserError: it is no such answer.
    """
    answer = _json(contents, target)
    rows = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise UserError(f"{target} sent JSON without a list of `predictions`")
    try:
        return [_bytes_of(row) for row in rows]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{target} sent predictions that are no images: {OUTPUT} as "
            '{"b64": ...} was expected'
        ) from error


def _bytes_of(row: dict) -> bytes:
    # With several outputs a row holds them by name.
    encoded = row.get(OUTPUT, row)
    return base64.b64decode(encoded["b64"], validate=True)
