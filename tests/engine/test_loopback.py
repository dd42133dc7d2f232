"""A local Ray listens where nobody else can reach it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same in IPv6's clothes, and ::1, as the kernel writes them."""
LISTENING = "0A"


def _processes(session: str) -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if session in (process / "cmdline").read_text():
                yield process
        except OSError:
            continue  # it has ended


def _sockets(process: Path) -> set[str]:
    """Return the numbers of the process's sockets."""
    links = []
    for descriptor in (process / "fd").glob("*"):
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


def _listening() -> Iterator[tuple[str, str]]:
    """Yield address and socket number of everything on this machine that waits for connections."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == LISTENING:
                yield columns[1].partition(":")[0], columns[9]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's tables of Linux")
@pytest.mark.timeout(120)
def test_a_local_ray_listens_on_the_loopback_interface_alone(ray_running: None) -> None:
    session = ray.get_runtime_context().get_session_name()
    sockets: set[str] = set().union(*(_sockets(process) for process in _processes(session)))
    addresses = [address for address, socket in _listening() if socket in sockets]
    assert len(addresses) >= 3  # of the control store and the raylet at least
    assert set(addresses) <= LOOPBACK
