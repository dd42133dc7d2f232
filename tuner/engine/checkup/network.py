"""Ray on the loopback interface, its token, and proxies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tuner.engine.checkup import ray_start
from tuner.engine.checkup.finding import Finding, note, ok, problem

_WITHOUT_RAY = "tuner run --in-process   # works without Ray, one trial at a time"
_TOKEN_FILE = Path("~/.ray/auth_token")


def ray(seconds: float) -> Iterator[Finding]:
    """Start Ray as a study does, run something on it, and end it; within `seconds`, in a process of its own."""
    command = [sys.executable, "-m", ray_start.__name__]
    asked = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        answer, complaint = asked.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(asked.pid, signal.SIGKILL)  # what Ray has started ends with who started it
        asked.communicate()
        yield problem("Ray", f"did not start within {seconds:.0f}s.", _WITHOUT_RAY)
        return
    if asked.returncode != 0:
        reason = (complaint.strip() or "it ended without a word").splitlines()[-1]
        yield problem("Ray", f"does not start: {reason}", _WITHOUT_RAY)
        return
    found = json.loads(answer)
    text = f"starts in {found['seconds']:.1f}s with {found['cpus']:g} CPUs, at {found['address']}"
    if found["address"].startswith("127."):
        yield ok("Ray", f"{text}, which other machines cannot reach")
    else:
        yield problem("Ray", f"{text}, which other machines can reach.", _WITHOUT_RAY)


def token(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at whether Ray asks for a token, and whose."""
    mode = environment.get("RAY_AUTH_MODE", "token")
    given = [name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if environment.get(name)]
    if mode != "token":
        text = f"RAY_AUTH_MODE is {mode!r}: while a study runs, every user of this machine may run code in its Ray."
        yield note("token", text, "unset RAY_AUTH_MODE")
    elif given:
        yield ok("token", f"Ray asks for the one that ${given[0]} gives")
    else:
        there = _TOKEN_FILE.expanduser().is_file()
        of_clusters = f"; a cluster asks for the one in {_TOKEN_FILE}" if there else ""
        yield ok("token", f"Ray asks for one, made anew for each study{of_clusters}")


def proxies(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Look at whether a proxy would get what is meant for this machine itself."""
    found = {name: environment[name] for name in environment if name.lower() in ("http_proxy", "all_proxy")}
    found = {name: value for name, value in found.items() if value}
    if not found:
        yield ok("proxies", "none")
    elif all(_is_direct(host, environment) for host in ("127.0.0.1", "localhost")):
        yield ok("proxies", f"{', '.join(found)}; not for this machine itself")
    else:
        yield note(
            "proxies",
            f"{', '.join(found)} is set, also for this machine itself: trackers and pages on it will not be found.",
            "export NO_PROXY=localhost,127.0.0.1 no_proxy=localhost,127.0.0.1",
        )


def _is_direct(host: str, environment: Mapping[str, str]) -> bool:
    """Return whether requests to `host` go past the proxy."""
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return bool({"*", host} & {entry.strip() for entry in exempt.split(",")})
