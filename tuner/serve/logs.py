"""What trainings printed: a list of their logs, and each of them as text."""

from __future__ import annotations

import os
import re
import stat
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import quote

from tuner.paths import RunPaths

_LOG = re.compile(r"[\w-]+\.log")
_NONE = "There are none here. Those of a run in a bucket are in its folder logs/, when it has ended."
_MOST_BYTES = 2_000_000
"""More than is written; but a folder may be a stranger's."""


def log_names(paths: RunPaths) -> list[str]:
    """Return the names of the run's logs, in order; none where no training printed or failed."""
    if paths.logs.is_symlink():
        return []
    try:
        return sorted(entry.name for entry in os.scandir(paths.logs) if _is_log(entry))
    except OSError:
        return []


def log_text(paths: RunPaths, name: str) -> str | None:
    """Return the beginning of a log of the run; None if it has none of that name.

    A stranger's run may have links to other files there, and pipes: only files are read.
    """
    if not _LOG.fullmatch(name) or paths.logs.is_symlink():
        return None
    try:
        return _read(paths.logs / name)
    except OSError:
        return None


def _is_log(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False) and _LOG.fullmatch(entry.name) is not None


def _read(path: Path) -> str | None:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return file.read(_MOST_BYTES).decode(errors="replace") if is_file else None


def logs_page(run: str, names: list[str]) -> str:
    """Return the list as a page, with a link to each."""
    address = f"/runs/{quote(run, safe='')}"
    links = "\n".join(f'<li><a href="{address}/logs/{name}">{name}</a></li>' for name in names)
    found = f"<ul>\n{links}\n</ul>" if names else f"<p>{_NONE}</p>"
    page = Template(resources.files("tuner.serve").joinpath("static", "logs.html").read_text(encoding="utf-8"))
    return page.substitute(run=escape(run), address=address, found=found)
