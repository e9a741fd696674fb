"""The studio's server: static files and verbs, for the page it gave out and no other.

Listening on loopback keeps other machines out, but any page in the browser can still
send to it. So Host and Origin are compared with the port, a token is asked for, and
only a content type is taken that no foreign page can send without being asked first.
"""

import hmac
import pathlib
import secrets
import socket
import threading

from werkzeug.exceptions import ClientDisconnected
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from hcm_tf.errors import UserError
from hcm_tf.studio import wire
from hcm_tf.studio.api import Api

PAGE = pathlib.Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
TOKEN_HEADER = "X-Studio-Token"
WAITING = 8
SLOWEST_BODY = 20  # Seconds.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Studio:
    """The WSGI application.

    Attributes:
        token: what the page must send with every message.
        port: the one that Host and Origin must name; set once the server listens.
    """

    def __init__(self, api: Api) -> None:
        self.api = api
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        self._model = threading.Lock()
        self._places = threading.BoundedSemaphore(WAITING + 1)
        self._files = {
            "/" + path.name: (path.read_bytes(), TYPES[path.suffix])
            for path in PAGE.iterdir()
            if path.suffix in TYPES
        }
        self._files["/"] = self._files["/index.html"]

    def __call__(self, environ, start_response):
        response = self._respond(Request(environ))
        response.headers.extend(HEADERS)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        refused = self._refuse(request)
        if refused:
            return refused
        if request.method == "GET":
            if request.path not in self._files:
                return say(404, "There is no such page.")
            contents, kind = self._files[request.path]
            return Response(contents, content_type=f"{kind}; charset=utf-8")
        return self._answer(request)

    def _refuse(self, request: Request) -> Response | None:
        host = request.environ.get("HTTP_HOST", "")
        if host not in (f"127.0.0.1:{self.port}", f"localhost:{self.port}"):
            return say(400, "This host is not served here.")
        if request.method not in ("GET", "POST"):
            return say(405, "Only GET and POST are answered.")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if site not in ("same-origin", "none"):
            return say(403, "Other pages may not use the studio.")
        if request.method == "GET":
            return None
        if request.headers.get("Origin") != f"http://{host}":
            return say(403, "Other pages may not use the studio.")
        given = request.headers.get(TOKEN_HEADER, "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return say(403, "Open the link that the command printed.")
        if request.mimetype != "application/octet-stream":
            return say(415, "Send application/octet-stream.")
        if request.content_length is None:
            return say(411, "Say how long the message is.")
        if request.content_length > self.api.body_limit:
            return say(413, "The message is too long.")
        return None

    def _answer(self, request: Request) -> Response:
        verb = self.api.verbs.get(request.path.removeprefix("/api/"))
        if verb is None or not request.path.startswith("/api/"):
            return say(404, "There is no such verb.")
        try:
            message = wire.unpack(request.get_data(cache=False))
        except (TimeoutError, ClientDisconnected):
            return say(408, "The message did not arrive.")
        except ValueError as error:
            return say(400, f"{error}.")
        if not self._places.acquire(blocking=False):
            return say(503, "The studio is busy.")
        try:
            with self._model:
                answer = wire.pack(*verb(*message))
        except LookupError as error:
            return say(410, f"{error}.")
        except ValueError as error:
            return say(400, f"{error}.")
        finally:
            self._places.release()
        return Response(answer, content_type="application/octet-stream")


class _Handler(WSGIRequestHandler):
    timeout = SLOWEST_BODY

    def log(self, type: str, message: str, *args) -> None:
        """Nothing: the terminal shows the link alone."""


def listen(studio: Studio, port: int) -> BaseWSGIServer:
    """A server on 127.0.0.1 that is not yet serving.

    Args:
        port: 0 takes a free one.

    Raises:
        UserError: the port is taken or not allowed.
    """
    waiting = socket.socket()
    try:
        waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        waiting.bind(("127.0.0.1", port))
        waiting.listen(128)
    except OSError as error:
        waiting.close()
        raise UserError(
            f"port {port} cannot be used ({error.strerror}). Try --port=0."
        ) from error
    studio.port = waiting.getsockname()[1]
    server = make_server(
        "127.0.0.1",
        studio.port,
        studio,
        threaded=True,
        request_handler=_Handler,
        fd=waiting.fileno(),
    )
    waiting.close()  # The server listens on a copy.
    server.daemon_threads = True
    return server


def say(status: int, sentence: str) -> Response:
    """A refusal."""
    return Response(sentence, status=status, content_type="text/plain; charset=utf-8")
