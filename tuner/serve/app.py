"""The paths of the live page: its files, the runs as events, and nothing that writes."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from tuner.errors import TunerError
from tuner.serve.feed import Feed
from tuner.serve.files import Files
from tuner.serve.guard import Guard
from tuner.serve.listing import Listing
from tuner.serve.logs import log_names, log_text, logs_page
from tuner.serve.runs import RunsFolder, RunSource
from tuner.serve.watched import WatchedRun

_KEPT = 8
"""Runs that nobody watches at the moment, so that going back and forth costs nothing."""


def build_app(runs: RunsFolder, *, host: str, port: int, token: str | None, with_try: bool = False) -> ASGIApp:
    """Return the page of `runs`, as it is seen at `host`; with a `token`, only by who has it."""
    page = _Page(runs, with_try=with_try)
    routes = [
        Route("/", page.file("list.html")),
        Route("/runs/{name}", page.run),
        Route("/runs/{name}/logs", page.logs),
        Route("/runs/{name}/logs/{file}", page.log),
        Route("/static/{file}", page.static),
        Route("/favicon.ico", page.file("icon.svg")),  # asked for where a log, which is plain text, names no icon
        Route("/api/runs", page.list_events),
        Route("/api/runs/{name}", page.run_events),
    ]
    if with_try:
        from tuner.serve.trying import Trying  # which needs torch

        trying = Trying(runs)
        routes += [
            Route("/runs/{name}/try", page.file("try.html")),
            Route("/api/runs/{name}/model", trying.describe),
            Route("/api/runs/{name}/predict", trying.predict, methods=["POST"]),
        ]
    app = Starlette(routes=routes, exception_handlers={TunerError: _explain, HTTPException: _explain_status})
    return Guard(app, host=host, port=port, token=token, post_paths=("/predict",) if with_try else ())


class _Page:
    """What answers."""

    def __init__(self, runs: RunsFolder, *, with_try: bool) -> None:
        self._runs = runs
        self._files = Files({"settings.json": json.dumps({"location": runs.location, "try": with_try})})
        self._list = Feed(Listing(runs))
        self._watched: OrderedDict[str, Feed] = OrderedDict()

    def file(self, name: str) -> Callable[[Request], Response]:
        """Return what answers with a file of ours."""
        return lambda request: self._files.answer(name, request)

    async def run(self, request: Request) -> Response:
        await self._feed(request.path_params["name"])
        return self._files.answer("run.html", request)

    async def logs(self, request: Request) -> Response:
        name = request.path_params["name"]
        paths = (await self._source(name)).paths
        return HTMLResponse(logs_page(name, await asyncio.to_thread(log_names, paths)))

    async def log(self, request: Request) -> Response:
        paths = (await self._source(request.path_params["name"])).paths
        text = await asyncio.to_thread(log_text, paths, request.path_params["file"])
        if text is None:
            raise HTTPException(404, "There is no such log.")
        return PlainTextResponse(text)

    async def static(self, request: Request) -> Response:
        return self._files.answer(request.path_params["file"], request)

    async def list_events(self, request: Request) -> Response:
        return _events(request, self._list)

    async def run_events(self, request: Request) -> Response:
        return _events(request, await self._feed(request.path_params["name"]))

    async def _source(self, name: str) -> RunSource:
        source = await asyncio.to_thread(self._runs.source, name)
        if source is None:
            raise HTTPException(404, "There is no such run.")
        return source

    async def _feed(self, name: str) -> Feed:
        """Return the feed of a run; raises HTTPException if there is no such run."""
        if name not in self._watched:
            source = await self._source(name)
            self._watched.setdefault(name, Feed(WatchedRun(name, source)))
        self._watched.move_to_end(name)
        idle = [other for other, feed in self._watched.items() if feed.is_idle and other != name]
        for other in idle[: max(0, len(idle) - _KEPT)]:
            del self._watched[other]
        return self._watched[name]


def _events(request: Request, feed: Feed) -> Response:
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    return StreamingResponse(feed.stream(), media_type="text/event-stream")


async def _explain(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _explain_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith("/api/"):
        return PlainTextResponse(error.detail, error.status_code, error.headers)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
