"""The part of the page that asks a run's best model about a picture; the only one that takes something in."""

from __future__ import annotations

import asyncio
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tuner.errors import DataError
from tuner.io.reading import reading_run
from tuner.predict import as_data_error, fit_image, load_model, moments, predict, use_one_core
from tuner.results.best import BestDescription, read_description
from tuner.results.kept import picture_source
from tuner.serve.runs import RunsFolder, RunSource

if TYPE_CHECKING:
    from torch import nn

_MOST_BYTES = 10 << 20
_MOST_PIXELS = 40_000_000
"""As they are decoded; a file of a few bytes can hold gigabytes of pixels."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Those of cameras and browsers: every other decoder is one more that strangers' bytes reach."""


@dataclass(frozen=True)
class _Loaded:
    description: BestDescription
    model: nn.Module
    mark: object
    """Equal for as long as the model's description is the same file."""


class Trying:
    """Answers with what a run's retrained model makes of a picture."""

    def __init__(self, runs: RunsFolder) -> None:
        """Ask the models of `runs`; one is loaded when it is first asked, and kept until another is."""
        use_one_core()
        self._runs = runs
        self._loaded: dict[str, _Loaded] = {}
        self._one_at_a_time = asyncio.Lock()

    async def describe(self, request: Request) -> Response:
        """Return the names of the classes."""
        source = await self._source(request)
        async with self._one_at_a_time:
            loaded = await asyncio.to_thread(self._load, source)
        description = loaded.description
        names = description.names(description.classes or 0)
        return JSONResponse({"classes": names, "dataset": description.dataset})

    async def predict(self, request: Request) -> Response:
        """Return the answer to the picture that is the request's body; `?invert=1` says that it is dark on light."""
        source = await self._source(request)
        picture = await _body(request)
        invert = request.query_params.get("invert") in ("1", "true")
        async with self._one_at_a_time:
            return JSONResponse(await asyncio.to_thread(self._answer, source, picture, invert))

    async def _source(self, request: Request) -> RunSource:
        source = await asyncio.to_thread(self._runs.source, request.path_params["name"])
        if source is None:
            raise HTTPException(404, "There is no such run.")
        return source

    def _answer(self, source: RunSource, picture: bytes, invert: bool) -> dict[str, object]:
        pixels = decode(picture, invert)
        loaded = self._load(source)
        (found,) = predict(loaded.model, loaded.description, np.stack([pixels]))
        return {
            "class": found.class_name,
            "probability": found.probability,
            "probabilities": found.probabilities,
            "seen": picture_source(pixels),
        }

    def _load(self, source: RunSource) -> _Loaded:
        known = self._loaded.get(source.location)
        if known is not None and known.mark == _mark(source):
            return known
        mark = _mark(source)
        with reading_run(source.location) as paths:
            description = read_description(paths)
            moments(description)  # which only who was trained on images has
            loaded = _Loaded(description, load_model(paths), mark)
        self._loaded = {source.location: loaded}
        return loaded


def decode(picture: bytes, invert: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the picture in a file's bytes as the model sees it, uint8 [28, 28].

    Raises:
        DataError: if it is none, of a format that is not taken, or has too many pixels.
    """
    with as_data_error("the picture"), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
        with Image.open(io.BytesIO(picture), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise DataError(
                    f"the picture has {opened.width} x {opened.height} pixels, but {_MOST_PIXELS:,} are allowed."
                )
            return fit_image(opened, invert)


async def _body(request: Request) -> bytes:
    """Return the request's body; raises HTTPException as soon as it is too long."""
    taken = bytearray()
    async for part in request.stream():
        taken += part
        if len(taken) > _MOST_BYTES:
            raise HTTPException(413, f"The picture has more than {_MOST_BYTES >> 20} MiB.")
    if not taken:
        raise HTTPException(400, "There is no picture: send an image file as the body of the request.")
    return bytes(taken)


def _mark(source: RunSource) -> object:
    try:
        found = source.paths.best_hparams.stat()
    except OSError:
        return None  # of a run in a bucket there is no such file here
    return found.st_mtime_ns, found.st_size
