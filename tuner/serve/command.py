"""The command `python -m tuner.serve [RUNS_FOLDER]`: where it listens, what it prints, how it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from tuner.cli import parse
from tuner.errors import ConfigError
from tuner.io import storage
from tuner.paths import at_home
from tuner.serve.guard import is_loopback
from tuner.serve.runs import DEFAULT_FOLDER, RunsFolder

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

_PORTS = 100
"""Tried one after the other."""
_EXAMPLES = {
    "": "your runs in ./runs, at an address that only this machine reaches",
    "s3://bucket/prefix --try": "runs in a bucket, and a page to try their models on pictures",
}


@dataclass(frozen=True)
class ServeConfig:
    """Watch your runs in the browser while they train. Nothing on the page can change a run."""

    runs: Annotated[Positional[str], arg(metavar="RUNS_FOLDER")] = DEFAULT_FOLDER
    """The folder with your runs, an s3://bucket/prefix, or one run."""
    port: int = 8400
    """Where the page is; if the port is taken, the next free one. 0 is any."""
    host: str = "127.0.0.1"
    """The address to listen on. Any but this machine's own loopback is open to others, who then need the token in the
    printed address."""
    token: bool = False
    """Ask for the token on loopback too: for machines that you share."""
    try_models: Annotated[bool, arg(name="try")] = False
    """Add a page where you draw or drop a picture and see what a run's best model answers."""


def run(args: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    config = parse(ServeConfig, args, prog="python -m tuner.serve", examples=_EXAMPLES)
    runs = RunsFolder(_checked(config))
    token = secrets.token_urlsafe(32) if config.token or not is_loopback(config.host) else None
    # Only here: `--help` and what is wrong with the arguments need not wait for the server's packages.
    from tuner.results.importance import prepare
    from tuner.serve.app import build_app

    with contextlib.closing(listen(config.host, config.port)) as listener:
        port = listener.getsockname()[1]
        app = build_app(runs, host=config.host, token=token, port=port, with_try=config.try_models)
        _say_where(config, port, token, runs)
        _yield_to_trainings()
        # Whoever opens the page takes a moment to do so.
        threading.Thread(target=prepare, name="prepare", daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when it has stopped
            server_of(app).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first free port from `port` on.

    Raises:
        ConfigError: if there is none, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port is {port}, but must be from 0 to 65535.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:  # a name with an empty part cannot even be asked for
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"--host is {host!r}, which is no address: {reason}.") from error
    for candidate in range(port, min(port + _PORTS, 65536)):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise ConfigError(
                    f"--host is {host!r}, on which this machine cannot listen: {error.strerror}."
                ) from error
        else:
            return listener
    raise ConfigError(f"--port is {port}, but it and the next {_PORTS - 1} are taken or not allowed.")


def server_of(app: ASGIApp) -> uvicorn.Server:
    """Return a server that is silent, and whose end the pages that are open do not hold up."""
    import uvicorn

    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="critical",
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _checked(config: ServeConfig) -> str:
    storage.check_location("RUNS_FOLDER", config.runs)
    if storage.is_bucket(config.runs):
        return config.runs
    folder = at_home(config.runs)
    if not Path(folder).is_dir() and config.runs != DEFAULT_FOLDER:
        raise ConfigError(f"RUNS_FOLDER is {config.runs!r}, but there is no such folder.")
    return folder


def _say_where(config: ServeConfig, port: int, token: str | None, runs: RunsFolder) -> None:
    host = socket.gethostname() if config.host in ("0.0.0.0", "::") else config.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    if config.port not in (0, port):
        print(f"Port {config.port} is taken, so this is {port}.")
    print(f"The runs of {runs.location}: http://{host}:{port}{runs.first_path}{f'?token={token}' if token else ''}")
    if token is not None and not is_loopback(config.host):
        print("Whoever has this address can read your runs; what is sent is not encrypted.")
    print("Ctrl-C ends it.", flush=True)


def _yield_to_trainings() -> None:
    """Let go first whatever trains on this machine."""
    with contextlib.suppress(OSError):
        os.nice(19)
