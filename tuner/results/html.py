"""The report as one HTML page that needs no network: its views, plotly, and one small script that draws them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined
from plotly.io import to_json
from plotly.offline import get_plotlyjs

from tuner.journal.history import History
from tuner.results.figures.style import DARK, LIGHT
from tuner.results.summary import dataset_name
from tuner.results.views import Kept, View, views


def html_report(history: History, name: str, kept: Kept | None = None) -> str:
    """Return the page for a run whose folder is called `name`; equal histories give equal pages.

    `kept` as in `views`.
    """
    found = views(history, name, kept)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    has_figures = any(view.figure is not None for view in found)
    scripts = [_read(name) for name in ("figures.js", "draw.js", "unpack.js")] if has_figures else []
    context = {
        "title": f"{name}: tuning on {dataset_name(history)}",
        "is_finished": history.ended,
        "views": found,
        "figures": {view.id: figure_json(view) for view in found if view.figure is not None},
        "templates": _for_script(json.dumps({"light": LIGHT, "dark": DARK})),
        "style": _read("report.css"),
        "scripts": scripts,
        "plotly": _packed_plotly() if scripts else "",
        # Written by us and by plotly; the policy lets the browser run these and no other.
        "script_hashes": " ".join(_hash(script) for script in [*scripts, get_plotlyjs()]) if scripts else "'none'",
    }
    return environment.from_string(_read("report.html.jinja")).render(context)


def figure_json(view: View) -> str:
    """Return a view's figure as JSON that may stand in a script element."""
    # With another encoder, where there is one, equal figures would differ from machine to machine.
    return _for_script(str(to_json(view.figure, engine="json")))


def _for_script(text: str) -> str:
    """Return JSON in which nothing ends the script element that it stands in."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _packed_plotly() -> str:
    """Return plotly's script, compressed, as text: a third of its size, in a page that people forward."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _read(name: str) -> str:
    return resources.files("tuner.results").joinpath("page", name).read_text(encoding="utf-8")
