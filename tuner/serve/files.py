"""The files that make up the page: ours, the report's style and templates, and plotly's script from its package."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tuner.results.figures.style import DARK, LIGHT
from tuner.serve.guard import is_loopback

_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
}
_LEAST_TO_COMPRESS = 100_000
_ELSEWHERE = {
    "plotly.js": ("plotly", "package_data", "plotly.min.js"),
    "report.css": ("tuner.results", "page", "report.css"),
    "figures.js": ("tuner.results", "page", "figures.js"),
}
_OURS = ("list.html", "list.js", "run.html", "run.js", "try.html", "try.js", "page.js", "page.css", "icon.svg")


class Files:
    """Files by name, of which there are so many and no others."""

    def __init__(self, made: Mapping[str, str]) -> None:
        """Serve our files and those that are `made`, by name."""
        self._made = {"templates.json": json.dumps({"light": LIGHT, "dark": DARK}), **made}

    def answer(self, name: str, request: Request) -> Response:
        """Return the answer with a file, which is empty if the browser has it; raises HTTPException if there is none.

        A file may change with a new version of tuner or plotly, so the browser asks each time.
        """
        body, mark = self._content(name)
        headers = {"ETag": mark, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if mark in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        is_far = request.client is None or not is_loopback(request.client.host)
        if is_far and len(body) > _LEAST_TO_COMPRESS and "gzip" in request.headers.get("accept-encoding", ""):
            body, headers["Content-Encoding"] = _compressed(name), "gzip"
        return Response(body, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)

    def _content(self, name: str) -> tuple[bytes, str]:
        if name in self._made:
            body = self._made[name].encode()
            return body, _mark(body)
        if name in _OURS or name in _ELSEWHERE:
            return _read(name)
        raise HTTPException(404, "There is no such file.")


@lru_cache
def _read(name: str) -> tuple[bytes, str]:
    package, *path = _ELSEWHERE.get(name, ("tuner.serve", "static", name))
    body = resources.files(package).joinpath(*path).read_bytes()
    return body, _mark(body)


@lru_cache
def _compressed(name: str) -> bytes:
    return gzip.compress(_read(name)[0], 5)


def _mark(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
