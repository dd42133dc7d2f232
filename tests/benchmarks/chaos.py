"""Kill a study's driver, workers or nodes at random moments, resume until it ends, and judge what is left.

    python -m tests.benchmarks.chaos --kind driver --kills 20 --seed 0 --json chaos.json

Prints one JSON document; exit code 1 if anything was lost, done twice, left behind or decided otherwise than in the
same study undisturbed. `--kind all` kills each kind `--kills` times. Ray is a cluster of processes on this machine;
with `--local`, for drivers alone, each driver starts a Ray of its own, which dies with it.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.output import publish
from tests.chaos.invariants import judge
from tests.chaos.nodes import Nodes
from tests.chaos.study import ChaosStudy, chaos_environment
from tests.chaos.torment import DRIVER, KINDS, torment
from tuner.engine.provenance import source_commit
from tuner.journal.events import EpochReported, RetrainEpochReported

_MOST_STUDIES = 5


def main() -> int:
    """Run the suite and return the exit code."""
    arguments = _arguments()
    # Sockets below it: their paths may have 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir="/tmp"))
    nodes: Nodes | None = None
    try:
        if not arguments.local:
            os.environ.update(chaos_environment(folder))
            nodes = Nodes()
        result = _run(arguments, folder, nodes)
    finally:
        if nodes is not None:
            nodes.stop()
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    publish(result, arguments.json)
    return 1 if any(study["violations"] for study in result["studies"]) else 0


def _run(arguments: argparse.Namespace, folder: Path, nodes: Nodes | None) -> dict[str, Any]:
    rng = random.Random(arguments.seed)
    address = nodes.address if nodes else None
    undisturbed = ChaosStudy(folder / "u", arguments.trials, address)
    undisturbed_seconds = undisturbed.run_undisturbed()
    work_seconds = sum(
        entry.event.seconds
        for entry in undisturbed.journal()
        if isinstance(entry.event, EpochReported | RetrainEpochReported)
    )
    kinds = _kinds(arguments, rng)
    studies: list[dict[str, Any]] = []
    while kinds and len(studies) < _MOST_STUDIES:
        study = ChaosStudy(folder / f"s{len(studies)}", arguments.trials, address)
        # No kill may cost more than the whole study.
        most_seconds = undisturbed_seconds * (2 + len(kinds))
        toll = torment(study, kinds, work_seconds=work_seconds, most_seconds=most_seconds, rng=rng, nodes=nodes)
        kinds = kinds[len(toll.kills) :]
        verdict = judge(study, undisturbed, toll, most_seconds)
        figures = {"kills": len(toll.kills), "seconds": round(toll.seconds, 1)}
        studies.append(figures | asdict(verdict) | {"moments": toll.kills})
    return {
        "command": f"python -m tests.benchmarks.chaos --kind {arguments.kind} --kills {arguments.kills} "
        f"--seed {arguments.seed} --trials {arguments.trials}{' --local' * arguments.local}",
        "commit": source_commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "undisturbed_seconds": round(undisturbed_seconds, 1),
        "undisturbed_work_seconds": round(work_seconds, 1),
        "kills": sum(study["kills"] for study in studies),
        "studies": studies,
    }


def _kinds(arguments: argparse.Namespace, rng: random.Random) -> list[str]:
    if arguments.kind != "all":
        return [arguments.kind] * arguments.kills
    kinds = [kind for kind in KINDS for _ in range(arguments.kills)]
    rng.shuffle(kinds)
    return kinds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.chaos", description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS, "all"], required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--local", action="store_true", help="each driver starts its own Ray; only with --kind driver")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", action="store_true", help="keep the studies' folder in /tmp")
    arguments = parser.parse_args()
    if arguments.local and arguments.kind != DRIVER:
        parser.error("--local is for --kind driver: the other kinds need a cluster.")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
