"""The cluster file at work on real hosts over real SSH: up, a study that loses one host and gains another, down.

One story, told by the fixtures; every test looks at a part of it. `bash tests/cluster/run.sh` runs it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.cluster.network import Host, Network, missing
from tuner.journal.events import EpochReported, RetrainEnded, StudyEnded, TrialEnded, TrialProposed, TrialRetried
from tuner.journal.store import Entry, read_journal
from tuner.paths import RunPaths
from tuner.search.trial import TrialState

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(sys.executable).parents[1]
WORKERS = ["w1", "w2", "w3", "w4"]
TRIALS = 60
SPACE = """
import time

from torch import nn

START = [{"learning_rate": 0.003}]


def suggest(trial):
    return {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)}


class Slow(nn.Sequential):
    def forward(self, images):
        if self.training:
            time.sleep(0.4)  # epochs of 4 seconds that do not need the two cores all hosts share
        return super().forward(images)


def MODEL(hparams):
    return Slow(nn.Flatten(), nn.Linear(784, 10))
"""

pytestmark = [
    pytest.mark.multihost,
    pytest.mark.timeout(600),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


@dataclass
class Cluster:
    """The network, the cluster's file and what was typed so far."""

    network: Network
    file: Path
    shared: Path
    """A folder that all hosts have; in life, NFS."""

    def __getitem__(self, name: str) -> Host:
        return self.network.hosts[name]

    def type(self, command: str, timeout: float = 300) -> str:
        """Type a command on the laptop; return what it prints, and keep both for the documentation."""
        done = self["laptop"].run(f"cd {REPOSITORY} && {command} 2>&1", check=False, timeout=timeout)
        with (self.network.folder / "transcript.txt").open("a") as transcript:
            transcript.write(f"$ {command}\n{done.stdout}[exit code {done.returncode}]\n\n")
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("hosts")
    network = Network(folder, ENVIRONMENT / "bin", ["laptop", "head", *WORKERS])
    try:
        for host in network.hosts.values():
            if host.name != "w4":  # joins later
                host.boot()
        yield network
    finally:
        network.close()


@pytest.fixture(scope="module")
def cluster(network: Network) -> Cluster:
    """The cluster after `ray up`, with three of its four workers."""
    if not (REPOSITORY / "uv.lock").exists():
        pytest.skip("ray up copies uv.lock to the nodes; uv lock writes it")
    file = network.folder / "cluster.yaml"
    file.write_text(yaml.safe_dump(_derived(network), sort_keys=False))
    shared = network.folder / "shared"
    shared.mkdir()
    cluster = Cluster(network, file, shared)
    cluster.type("ray get-auth-token --generate > /dev/null && ls ~/.ray")
    cluster.type(f"ray up -y --log-style pretty --log-color false {file}")
    _wait_until(lambda: len(_alive(cluster)) == 4, 180, lambda: cluster["head"].run("ls ~; ps ax").stdout)
    cluster.type(f"ray exec {file} 'ray status'")
    return cluster


def _derived(network: Network) -> dict[str, Any]:
    """Return cluster.yaml with another provider, other keys, no cloud's node types, and this very environment."""
    config: dict[str, Any] = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())
    workers = [network.hosts[name].address for name in WORKERS]
    config["provider"] = {"type": "local", "head_ip": network.hosts["head"].address, "worker_ips": workers}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(network.key)}
    del config["available_node_types"], config["head_node_type"]
    install = [command for command in config["setup_commands"] if ".local/bin/uv" in command]
    assert len(install) == 2
    kept = [command for command in config["setup_commands"] if command not in install]
    config["setup_commands"] = [f"ln -sfn {ENVIRONMENT} ~/tuner/.venv", *kept]
    return config


def _alive(cluster: Cluster) -> list[str]:
    listed = cluster["head"].run(
        "RAY_AUTH_MODE=token python -c \"import ray; ray.init('auto', logging_level=40, log_to_driver=False); "
        "print('ALIVE', *[n['NodeManagerHostname'] for n in ray.nodes() if n['Alive']])\"",
        check=False,
    )
    return [name for line in listed.stdout.splitlines() if line.startswith("ALIVE") for name in line.split()[1:]]


def _wait_until(happened: Callable[[], bool], seconds: float, explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, explain()
        time.sleep(2)


@dataclass
class Study:
    """A finished study."""

    paths: RunPaths
    entries: list[Entry]
    cut_at: int
    """The first event after w1 was cut off."""
    output: str

    def of(self, kind: type) -> list[Any]:
        """Return the events of a kind, oldest first."""
        return [entry.event for entry in self.entries if isinstance(entry.event, kind)]


@pytest.fixture(scope="module")
def study(cluster: Cluster) -> Study:
    """A study on the cluster, in whose middle w1 is cut off and w4 joins."""
    paths = RunPaths(cluster.shared / "cluster")
    (cluster.shared / "space.py").write_text(SPACE)
    command = (
        f"ray exec {cluster.file} 'set -o pipefail; cd ~/tuner && python -m tuner.run --address auto "
        f"--storage {cluster.shared} --name cluster --space {cluster.shared}/space.py --preset smoke --trials {TRIALS} "
        "--max-epochs 9 --cpus-per-trial 2 --retrain-seeds 1 | tee ~/study.log'"
    )
    log = cluster.network.folder / "study.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            cluster["laptop"].command(f"cd {REPOSITORY} && {command}"),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        _wait_until(lambda: "w1" in _hosts(paths) or process.poll() is not None, 300, log.read_text)
        assert process.poll() is None, log.read_text()
        cluster["w1"].cut_off()
        cut_at = len(read_journal(paths.journal))
        cluster["w4"].boot()
        assert process.wait(timeout=540) == 0, log.read_text()
    finally:
        process.kill()
    with (cluster.network.folder / "transcript.txt").open("a") as transcript:
        transcript.write(f"$ {command}\n{log.read_text()}[exit code 0]\n\n")
    return Study(paths, read_journal(paths.journal), cut_at, log.read_text())


def _hosts(paths: RunPaths) -> set[str]:
    """Return the hosts that have reported an epoch so far."""
    if not any(paths.journal.glob("*.jsonl")):
        return set()
    events = [entry.event for entry in read_journal(paths.journal)]
    return {event.worker.split(":")[0] for event in events if isinstance(event, EpochReported)}


def test_ray_up_brings_up_the_head_and_its_workers_over_ssh(cluster: Cluster) -> None:
    assert sorted(_alive(cluster)) == ["head", "w1", "w2", "w3"]


def test_every_host_has_the_files_and_no_others(cluster: Cluster) -> None:
    for name in ("head", "w1", "w2", "w3"):
        assert sorted(path.name for path in (cluster[name].home / "tuner").iterdir()) == [
            ".venv",
            "LICENSE",
            "README.md",
            "pyproject.toml",
            "search_spaces",
            "tuner",
            "uv.lock",
        ]
        assert (cluster[name].home / ".ray/auth_token").stat().st_mode & 0o777 == 0o600


def test_the_dashboard_answers_on_the_head_and_to_nobody_else(cluster: Cluster) -> None:
    answer = "python -c \"import socket; socket.create_connection(('{}', 8265), 5)\""
    assert cluster["head"].run(answer.format("127.0.0.1"), check=False).returncode == 0
    for host in ("w2", "laptop"):
        refused = cluster[host].run(answer.format(cluster["head"].address), check=False)
        assert refused.returncode != 0
        assert "ConnectionRefusedError" in refused.stderr


@pytest.mark.parametrize(
    ("without", "means"),
    [
        ("no token", "HOME=/nonexistent RAY_AUTH_MODE=token"),
        ("another token", f"RAY_AUTH_MODE=token RAY_AUTH_TOKEN={'0' * 64}"),
        ("authentication off", "RAY_AUTH_MODE=disabled"),
    ],
)
def test_a_client_without_the_token_is_refused(cluster: Cluster, without: str, means: str) -> None:
    ask = f"ray status --address {cluster['head'].address}:6379"
    assert "Active" in cluster["w2"].run(f"RAY_AUTH_MODE=token {ask}").stdout
    refused = cluster["w2"].run(f"{means} timeout 60 {ask}", check=False)
    assert refused.returncode != 0
    assert "Active" not in refused.stdout
    said = refused.stdout + refused.stderr
    assert "auth" in said.lower(), said


def test_storage_that_a_node_does_not_share_ends_it_before_the_first_trial(cluster: Cluster) -> None:
    refused = cluster["head"].run(
        "cd ~/tuner && RAY_AUTH_MODE=token python -m tuner.run --address auto --storage /dev/shm/runs --preset smoke",
        check=False,
    )
    assert refused.returncode == 2, refused.stdout + refused.stderr
    for name in ("w1", "w2", "w3"):
        assert f"node {name} ({cluster[name].address}) does not see what the driver wrote there" in refused.stderr
    assert "node head" not in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_more_trials_at_once_than_fit_end_it_before_the_first_trial(cluster: Cluster) -> None:
    refused = cluster["head"].run(
        "cd ~/tuner && RAY_AUTH_MODE=token python -m tuner.run --address auto "
        f"--storage {cluster.shared} --preset smoke --gpus-per-trial 1",
        check=False,
    )
    assert refused.returncode == 2
    assert "0 GPUs" in refused.stderr


def test_the_study_ends_with_results(study: Study) -> None:
    assert len(study.of(StudyEnded)) == 1
    assert len(study.of(RetrainEnded)) == 2
    assert study.paths.best_model.is_file()
    assert "test" in study.output


def test_trials_ran_on_at_least_two_hosts_besides_the_head(study: Study) -> None:
    hosts = {report.worker.split(":")[0] for report in study.of(EpochReported)}
    assert len(hosts - {"head"}) >= 2


def test_the_trial_of_the_host_cut_off_was_finished_elsewhere(study: Study) -> None:
    retried = {event.trial for event in study.of(TrialRetried)}
    assert retried
    after = [entry.event for entry in study.entries[study.cut_at :]]
    for trial in retried:
        ends = [event for event in after if isinstance(event, TrialEnded) and event.trial == trial]
        assert [end.state for end in ends] != [TrialState.FAILED]
        elsewhere = [event.worker for event in after if isinstance(event, EpochReported) and event.trial == trial]
        assert elsewhere
        assert not any(worker.startswith("w1:") for worker in elsewhere[-1:])


def test_the_host_that_joined_took_its_share(study: Study) -> None:
    assert any(report.worker.startswith("w4:") for report in study.of(EpochReported))


def test_the_books_balance(study: Study) -> None:
    proposed = [event.trial for event in study.of(TrialProposed)]
    ended = [event.trial for event in study.of(TrialEnded)]
    assert sorted(proposed) == sorted(ended) == list(range(TRIALS))
    reports = Counter((event.trial, event.epoch) for event in study.of(EpochReported))
    assert set(reports.values()) == {1}
    for trial in range(TRIALS):
        epochs = sorted(epoch for number, epoch in reports if number == trial)
        assert epochs == list(range(1, len(epochs) + 1))
    trials, epochs_table = pd.read_parquet(study.paths.trials), pd.read_parquet(study.paths.epochs)
    assert len(trials) == TRIALS
    assert trials["epochs"].sum() == len(epochs_table) == len(reports)


def test_nothing_unfinished_is_left_in_the_run(study: Study) -> None:
    assert not study.paths.checkpoints.exists()


def test_the_results_reach_the_laptop(cluster: Cluster, study: Study) -> None:
    local = cluster["laptop"].home / "runs"
    cluster.type(f"mkdir -p {local} && ray rsync-down {cluster.file} {study.paths.root}/ {local}/cluster/")
    cluster.type(f"python -m tuner.report {local}/cluster")
    assert pd.read_parquet(local / "cluster/trials.parquet").equals(pd.read_parquet(study.paths.trials))


def test_ray_down_leaves_nothing_running(cluster: Cluster) -> None:
    cluster.type(f"ray down -y --log-style pretty --log-color false {cluster.file}")
    # The nodes of the local provider are not ray down's to end: Ray's log monitor would wait there for ever.
    cluster["w1"].reconnect()
    workers = [cluster[name] for name in WORKERS if cluster[name].is_running]
    options = f"-i {cluster.network.key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    addresses = " ".join(worker.address for worker in workers)
    cluster.type(f"for host in {addresses}; do ssh {options} root@$host '~/tuner/.venv/bin/ray stop'; done")

    def left() -> list[str]:
        hosts = [cluster["head"], *workers]
        return [f"{host.name}: {line}" for host in hosts for line in host.processes() if "sshd" not in line]

    _wait_until(lambda: not left(), 60, lambda: "\n".join(left()))
