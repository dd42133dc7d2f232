"""Hosts made of Linux namespaces: each has its network, processes, name, home and SSH server; disk and CPUs are shared.

Nothing outside the namespaces is touched: the bridge has no address, every host sees its own processes only, and all of
them end with the host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

NETWORK = "10.77.0"
_NEEDED = {
    "ip": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "rsync": "rsync",
    "unshare": "util-linux",
}
"""Programs and Debian's packages that have them."""
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def missing() -> str | None:
    """Return why hosts cannot be made here; None if they can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    packages = sorted({package for tool, package in _NEEDED.items() if shutil.which(tool, path=_PATH) is None})
    if packages:
        return f"needs Debian's {', '.join(packages)}: apt-get install {' '.join(packages)}"
    tried = subprocess.run(
        ["unshare", "-m", "-n", "-u", "-p", "-f", "true"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"needs namespaces: {tried.stderr.strip()}"


@dataclass
class Host:
    """One machine of the network."""

    name: str
    number: int
    network: Network
    _init: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The host's address in the network."""
        return f"{NETWORK}.{self.number}"

    @property
    def home(self) -> Path:
        """The home of the host's only user, root."""
        return self.network.folder / self.name / "home"

    @property
    def is_running(self) -> bool:
        """Whether the host was booted."""
        return self._init is not None

    @property
    def _namespace(self) -> str:
        return f"{self.network.prefix}-{self.name}"

    @property
    def _link(self) -> str:
        return f"{self.network.prefix}v{self.number}"

    def plug_in(self) -> None:
        """Make the host's network and home; nothing runs on it yet."""
        self.home.mkdir(parents=True)
        (self.home / ".bashrc").touch()
        inside = ["-n", self._namespace]
        for command in (
            ["netns", "add", self._namespace],
            ["link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self._namespace],
            ["link", "set", self._link, "master", self.network.bridge, "up"],
            [*inside, "link", "set", "lo", "up"],
            [*inside, "address", "add", f"{self.address}/24", "dev", "eth0"],
            [*inside, "link", "set", "eth0", "up"],
            # There is no router; Ray finds out a machine's own address by asking for the way to the outside.
            [*inside, "route", "add", "default", "via", f"{NETWORK}.254"],
        ):
            _ip(*command)

    def boot(self) -> None:
        """Start the host's first process, its SSH server."""
        folder = self.home.parent
        user = Path("/etc/passwd").read_text().splitlines()
        others = [line for line in user if not line.startswith("root:")]
        (folder / "passwd").write_text("\n".join([f"root:x:0:0:root:{self.home}:/bin/bash", *others, ""]))
        (folder / "sshd_config").write_text(
            f"HostKey {self.network.folder}/host_key\nAuthorizedKeysFile {self.network.key}.pub\n"
            "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        Path("/tmp/ray").mkdir(exist_ok=True)  # the place where each host mounts its own
        script = "\n".join(
            [
                "set -e",
                f"hostname {self.name}",
                "mount -t tmpfs tmpfs /tmp/ray",
                "mount -t tmpfs tmpfs /dev/shm",
                f"mount --bind {folder}/passwd /etc/passwd",
                f"mount --bind {self.network.folder}/hosts /etc/hosts",
                f"mount --bind {self.network.folder}/resolv.conf /etc/resolv.conf",
                f"exec {shutil.which('sshd', path=_PATH)} -D -e -f {folder}/sshd_config",
            ]
        )
        with (folder / "sshd.log").open("wb") as log:
            self._init = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self._namespace),
                    *("unshare", "-m", "-u", "-p", "-f", "--mount-proc", "--kill-child"),
                    *("sh", "-c", script),
                ],
                stdout=log,
                stderr=log,
                env={"PATH": _PATH},
            )
        deadline = time.monotonic() + 30
        while self.run("true", check=False).returncode != 0 or not (folder / "sshd.log").read_text():
            assert time.monotonic() < deadline, (folder / "sshd.log").read_text()
            time.sleep(0.1)

    def command(self, shell: str) -> list[str]:
        """Return what starts a shell's command on the host, as if typed there, not over SSH."""
        environment = ["env", "-i", f"HOME={self.home}", f"PATH={self.network.tools}:{_PATH}", "LANG=C.UTF-8"]
        environment += [f"TMPDIR={self.home.parent}", "RAY_USAGE_STATS_ENABLED=0", "RAY_UP_enable_autoscaler_v2=0"]
        return ["nsenter", "-t", str(self._first_process()), "-m", "-u", "-n", "-p", *environment, "bash", "-c", shell]

    def run(self, shell: str, *, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a shell's command on the host and return what it said."""
        done = subprocess.run(
            self.command(shell), capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{self.name}$ {shell}\n{done.stdout}{done.stderr}"
        return done

    def processes(self) -> list[str]:
        """Return the command lines of everything that runs on the host, but for the asking itself."""
        listed = self.run("ps -e -o args= --no-headers").stdout.splitlines()
        return [line for line in listed if "ps -e -o args=" not in line]

    def cut_off(self) -> None:
        """Take the host's link down: it runs on and hears nobody."""
        _ip("link", "set", self._link, "down")

    def reconnect(self) -> None:
        """Take the host's link up again."""
        _ip("link", "set", self._link, "up")

    def shut_down(self) -> None:
        """End everything on the host and remove its network."""
        if self._init is not None:
            self._init.kill()  # its child, the host's first process, is killed with it, and all others with that
            self._init.wait()
        _ip("netns", "del", self._namespace)

    def _first_process(self) -> int:
        assert self._init is not None, f"{self.name} is not running"
        children = Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children")
        deadline = time.monotonic() + 10
        while not (child := children.read_text().split()):
            assert time.monotonic() < deadline, f"{self.name} did not start"
            time.sleep(0.05)
        return int(child[0])


class Network:
    """A switch and the hosts plugged into it."""

    def __init__(self, folder: Path, tools: Path, names: list[str]) -> None:
        """Make the hosts `names`, with homes below `folder` and programs in `tools`; none is booted."""
        self.folder = folder
        self.tools = tools
        self.prefix = f"tn{os.getpid()}"
        self.bridge = f"{self.prefix}br"
        self.key = folder / "key"
        self.hosts = {name: Host(name, 10 + index, self) for index, name in enumerate(names)}
        for key in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        lines = ["127.0.0.1 localhost", *(f"{host.address} {name}" for name, host in self.hosts.items())]
        (folder / "hosts").write_text("\n".join([*lines, ""]))
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # nobody: a question fails at once
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("link", "set", self.bridge, "up")
        for host in self.hosts.values():
            host.plug_in()

    def close(self) -> None:
        """End and remove all hosts, and the switch."""
        for host in self.hosts.values():
            host.shut_down()
        _ip("link", "del", self.bridge)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, env={"PATH": _PATH})
