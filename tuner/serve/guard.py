"""Who may ask, and what: the names of the server, the token, the methods, and what browsers are told to forbid."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; "
    # plotly writes styles; whoever could write one here could write no script.
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # an address may hold the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_TOKEN = "token"  # noqa: S105
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets through to the app what may be asked, and adds to every answer what the browser is to forbid.

    A page elsewhere can make its own name point here (DNS rebinding), so only requests under this server's own names
    are answered. No answer has a CORS header, so no page elsewhere can read one.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int, token: str | None, post_paths: Iterable[str]) -> None:
        """Guard `app`, which listens on `host`; with a `token`, every request must have it.

        `post_paths` are the ends of the paths where POST is allowed.
        """
        self._app = app
        self._is_local = is_loopback(host)
        self._names = _LOCAL_NAMES | {host.lower()}
        if not self._is_local:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
        self._token = token
        self._cookie = f"tuner-{port}"  # the cookies of a host are those of all its ports
        self._post_paths = tuple(post_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app do so; see ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._ask_for_token(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._is_ours(headers.get("host", "")):
            return PlainTextResponse("This server does not go by that name.", 421)
        method, path = scope["method"], scope["path"]
        if method not in ("GET", "HEAD"):
            if method != "POST" or not path.endswith(self._post_paths or ("\0",)):
                return PlainTextResponse("Only GET is allowed here.", 405, {"Allow": "GET, HEAD"})
            origin = headers.get("origin")
            if origin is not None and origin.partition("://")[2].lower() != headers["host"].lower():
                return PlainTextResponse("Only this server's own pages may send something.", 403)
        return None

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host).lower()
        # Whoever uses an address and no name has not been rebound.
        return name in self._names or (not self._is_local and _is_address(name))

    def _ask_for_token(self, scope: Scope) -> Response | None:
        if self._token is None:
            return None
        headers = Headers(scope=scope)
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        in_address = [value for name, value in asked if name == _TOKEN]
        if in_address and scope["method"] == "GET" and self._is_token(in_address[0]):
            return self._remember(scope, [(name, value) for name, value in asked if name != _TOKEN])
        # Starlette's parser goes on behind what other apps on this host have set, which http.cookies does not.
        cookie = HTTPConnection(scope).cookies.get(self._cookie, "")
        if self._is_token(cookie) or self._is_token(_bearer(headers)):
            return None
        return PlainTextResponse("This page needs the token: open the address that the server printed.", 401)

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _remember(self, scope: Scope, rest: list[tuple[str, str]]) -> Response:
        """Keep the token in a cookie that no script sees, and take it out of the address."""
        path = "/" + scope["raw_path"].decode("latin-1").lstrip("/")  # two slashes begin the name of another server
        answer = RedirectResponse(path + (f"?{urlencode(rest)}" if rest else ""), 303)
        assert self._token is not None
        answer.set_cookie(self._cookie, self._token, path="/", httponly=True, samesite="lax")
        return answer


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
