"""What trainings printed: a list of their logs, and each of them as text."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import quote

from tuner.paths import RunPaths

_LOG = re.compile(r"[\w-]+\.log")


def log_names(paths: RunPaths) -> list[str]:
    """Return the names of the run's logs, in order; none where no training printed or failed."""
    try:
        return sorted(path.name for path in paths.logs.iterdir() if _LOG.fullmatch(path.name))
    except OSError:
        return []


def log_text(paths: RunPaths, name: str) -> str | None:
    """Return a log of the run; None if it has none of that name. They have at most a megabyte."""
    if not _LOG.fullmatch(name):  # a name that leads elsewhere is none
        return None
    try:
        return (paths.logs / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def logs_page(run: str, names: list[str]) -> str:
    """Return the list as a page, with a link to each."""
    address = f"/runs/{quote(run, safe='')}"
    links = "\n".join(f'<li><a href="{address}/logs/{name}">{name}</a></li>' for name in names)
    title = f"Logs of {escape(run)}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} - tuner</title>
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/report.css">
<link rel="stylesheet" href="/static/page.css">
</head>
<body>
<header class="top">
<p class="note back"><a href="{address}">The run</a></p>
<h1>{title}</h1>
</header>
<main>
<p>What each training printed, epoch by epoch, and why it failed.</p>
<ul>
{links}
</ul>
</main>
</body>
</html>
"""
