"""A Ray cluster on this machine whose one working node can be killed and replaced."""

from __future__ import annotations

import os
import signal
from typing import Any

_OBJECT_STORE_BYTES = 100 << 20


class Nodes:
    """A head without CPUs, and one node that works; Ray must not have been imported before the environment is set."""

    def __init__(self) -> None:
        """Start head and node."""
        from ray.cluster_utils import Cluster

        # A head with no CPU never works, so all work dies with the node.
        head = {"num_cpus": 0, "object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._node: Any = self._add()

    @property
    def address(self) -> str:
        """For `--address`."""
        return str(self._cluster.address)

    @property
    def raylet(self) -> int:
        """The working node's raylet."""
        (found,) = self._node.all_processes["raylet"]
        return int(found.process.pid)

    def kill_node(self) -> None:
        """SIGKILL the working node's raylet, as if its machine were gone."""
        os.kill(self.raylet, signal.SIGKILL)
        self._cluster.remove_node(self._node, allow_graceful=False)

    def replace_node(self) -> None:
        """Start another working node."""
        self._node = self._add()

    def stop(self) -> None:
        """Stop the cluster."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=_OBJECT_STORE_BYTES)
