"""Who may come in, and what the browser may fetch: plain ASGI, before all else."""

import base64
import hmac
import ipaddress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOCAL = ("localhost", "127.0.0.1", "[::1]")
SHORTEST = 8
# Nothing comes from anywhere else, whatever a page asks for. Gradio makes its pages
# from templates with new Function.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: "
    "data:; worker-src 'self' blob:; frame-ancestors 'self'; form-action 'self'; "
    "base-uri 'self'; object-src 'none'"
)
HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
)
USER = "distill"


class Rules(NamedTuple):
    """What the gate asks for.

    Attributes:
      hosts: names by which the app may be called, without port; None allows all.
      password: "" asks for none.
      files: the one folder that Gradio may serve files of.
    """

    hosts: tuple[str, ...] | None
    password: str
    files: Path


def is_loopback(host):
    """Whether an address is heard on this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(host, password):
    """Refuses to open the app to a network without a password.

    Raises:
      ValueError: says why.
    """
    if not is_loopback(host) and not password:
        raise ValueError(
            f"--host {host} lets others on the network in, who could train, upload and "
            "read all of --workdir: give a --password too, or leave --host out"
        )
    if password and len(password) < SHORTEST:
        raise ValueError(
            f"--password has {len(password)} letters, expected {SHORTEST} or more"
        )


class Gate:
    """An ASGI application in front of another."""

    def __init__(self, app, rules):
        """Lets through to `app` what `rules` allow."""
        self._app, self._rules = app, rules

    async def __call__(self, scope, receive, send):
        """Answers a request, or passes it on with headers added to its answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refused = refusal(scope, self._rules)
        if refused is not None:
            await _answer(scope, send, refused)
            return

        async def guarded(message):
            if message["type"] == "http.response.start":
                old = message.get("headers", [])
                names = {name.lower() for name, _ in old}
                added = [pair for pair in _encoded(HEADERS) if pair[0] not in names]
                message = {**message, "headers": [*old, *added]}
            await send(message)

        await self._app(scope, receive, guarded)


def refusal(scope, rules):
    """Why a request is not let in, (status, text); None for a good one."""
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in scope["headers"]
    }
    host = headers.get("host", "")
    if rules.hosts is not None and _plain(host) not in rules.hosts:
        return 421, f"this app is not called {host!r}"
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return 403, "requests from pages of other sites are refused"
    if rules.password and not _knows(headers.get("authorization", ""), rules.password):
        return 401, "the password is missing or wrong"
    return _outside(scope["path"], rules)


def _plain(host):
    """A host without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _knows(authorization, password):
    kind, _, encoded = authorization.partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except ValueError:
        return False
    return kind.lower() == "basic" and hmac.compare_digest(given, password.encode())


def _outside(path, rules):
    """Refuses files that Gradio did not make, and what it would fetch for others."""
    path = unquote(path)
    if "/proxy=" in path:
        return 403, "nothing is fetched from elsewhere"
    for sign in ("/file=", "/file/"):
        _, found, name = path.partition(sign)
        if not found:
            continue
        try:
            good = Path(name).resolve().is_relative_to(rules.files.resolve())
        except (OSError, ValueError):
            good = False
        if not good:
            return 403, "no such file"
    return None


def _encoded(headers):
    return [(name.encode(), value.encode()) for name, value in headers]


async def _answer(scope, send, refused):
    status, text = refused
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [("content-type", "text/plain; charset=utf-8")]
    if status == 401:
        headers.append(("www-authenticate", f'Basic realm="{USER}", charset="UTF-8"'))
    await send(
        {"type": "http.response.start", "status": status, "headers": _encoded(headers)}
    )
    await send({"type": "http.response.body", "body": text.encode()})
