"""What one trial gets of the machines there are: its CPUs and GPUs, and so how many train side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tuner.config import AUTO, ResourceConfig

Node = Mapping[str, float]
"""A machine's resources by Ray's names: "CPU", "GPU", "accelerator_type:A100"."""

_MOST_ON_A_GPU = 4
"""Trials that share a GPU take turns on it; from there on more of them bring nothing."""
_GROWTH = 2.0
"""Another configuration of the space may need this many times the memory of the one that was measured."""
_CONTEXT_BYTES = 1 << 29
"""What CUDA takes in each process, which torch does not count."""
_USABLE = 0.95
"""Share of a GPU's memory that the driver and the display leave."""
_KIND = "accelerator_type:"
"""By Ray's name: it is followed by that of a GPU."""
_RAYS_UNIT = 10_000
"""Ray counts resources in ten thousandths."""


def settle(resources: ResourceConfig, nodes: Iterable[Node]) -> ResourceConfig:
    """Return the resources with numbers in place of `auto`: one trial a GPU where there are GPUs, else one a CPU.

    On a machine with GPUs the trials divide its CPUs among them, so that no GPU waits for a trial that has none.
    """
    nodes = list(nodes)
    gpus = resources.gpus_per_trial
    if gpus == AUTO:
        gpus = 1.0 if any(node.get("GPU", 0.0) >= 1 for node in nodes) else 0.0
    cpus = resources.cpus_per_trial
    if cpus == AUTO:
        shares = [node.get("CPU", 0.0) // trials for node in nodes if (trials := _by_gpus(node, gpus))]
        cpus = max(1, int(min(shares, default=1)))
    return replace(resources, cpus_per_trial=cpus, gpus_per_trial=gpus)


def share_gpus(resources: ResourceConfig, nodes: Iterable[Node], *, peak_bytes: int, gpu_bytes: int) -> ResourceConfig:
    """Return the settled resources with as many trials on each GPU as its memory and the CPUs allow.

    Args:
        resources: As the user gave them: only `auto` is shared.
        nodes: The machines there are.
        peak_bytes: The most GPU memory that torch had reserved in an epoch of the first configuration.
        gpu_bytes: Memory of one of the GPUs. Where there are several kinds, none is shared: it tells nothing of others.
    """
    nodes = list(nodes)
    if resources.gpus_per_trial != AUTO or settle(resources, nodes).gpus_per_trial != 1 or len(_kinds(nodes)) > 1:
        return settle(resources, nodes)
    shared = resources
    for trials in range(1, _MOST_ON_A_GPU + 1):
        fraction = _RAYS_UNIT // trials / _RAYS_UNIT
        offered = settle(replace(resources, gpus_per_trial=fraction), nodes)
        has_memory = trials * (_GROWTH * peak_bytes + _CONTEXT_BYTES) <= _USABLE * gpu_bytes
        has_cpus = all(fitting(node, offered) == _by_gpus(node, fraction) for node in nodes)
        if trials == 1 or (has_memory and has_cpus):
            shared = offered
    return shared


def _kinds(nodes: Iterable[Node]) -> set[str]:
    """Return the kinds of GPU that there are, by the names of Ray's resources; of a node yet to come it may be ''."""
    with_gpus = (node for node in nodes if node.get("GPU", 0.0) >= 1)
    return {next((name for name in node if name.startswith(_KIND)), "") for node in with_gpus}


def of_a_trial(resources: ResourceConfig) -> tuple[int, float]:
    """Return the CPUs and GPUs of a trial, from settled resources."""
    cpus, gpus = resources.cpus_per_trial, resources.gpus_per_trial
    assert cpus != AUTO, "not settled"
    assert gpus != AUTO, "not settled"
    return cpus, gpus


def fitting(node: Node, resources: ResourceConfig) -> int:
    """Return how many trials with settled resources fit on a machine; a trial does not span two."""
    cpus, gpus = of_a_trial(resources)
    fits = int(node.get("CPU", 0.0) // cpus)
    return min(fits, _by_gpus(node, gpus)) if gpus > 0 else fits


def share_in_words(asked: ResourceConfig, resources: ResourceConfig, nodes: Iterable[Node]) -> str:
    """Return why so many trials train side by side: what each of them has, and of how much.

    Args:
        asked: The resources as the user gave them.
        resources: The same, settled.
        nodes: The machines there are, or may come; none if they are not known.
    """
    nodes = [node for node in nodes if fitting(node, resources)]
    cpus, gpus = of_a_trial(resources)
    all_cpus, all_gpus = (int(sum(node.get(name, 0.0) for node in nodes)) for name in ("CPU", "GPU"))
    there = [_counted(all_cpus, "usable core"), *([_counted(all_gpus, "GPU")] if gpus and all_gpus else [])]
    where = "this machine" if asked.address is None else f"the cluster of {_counted(len(nodes), 'machine')}"
    if asked.workers is not None:
        return "as --workers says" + (f"; {where} has {' and '.join(there)}" if nodes else "")
    if gpus == 1:
        return f"one for each of {_counted(all_gpus, 'GPU')} of {where}, with {_counted(cpus, 'core')} each"
    if gpus > 1:
        return f"each with {gpus:g} of {_counted(all_gpus, 'GPU')} and {_counted(cpus, 'core')} of {where}"
    if gpus > 0:
        together = int(1 / gpus + 1e-9)
        return f"{together} on each of {_counted(all_gpus, 'GPU')} of {where}, with {_counted(cpus, 'core')} each"
    if cpus == 1 and all_cpus == 1:
        return f"for {where} has {there[0]}"
    if cpus == 1:
        return f"one for each of {there[0]} of {where}"
    return f"each with {cpus} of {there[0]} of {where}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _by_gpus(node: Node, gpus_per_trial: float) -> int:
    """Return how many trials the GPUs of a machine hold, 0 if a trial takes none. A fraction lies on one GPU."""
    gpus = node.get("GPU", 0.0)
    if gpus_per_trial <= 0:
        return 0
    if gpus_per_trial < 1:
        return int(gpus) * int(1 / gpus_per_trial + 1e-9)
    return int(gpus / gpus_per_trial + 1e-9)
