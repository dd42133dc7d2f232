"""Fixtures that every test may use."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:  # most tests need none of this, and it takes long to import
    import numpy as np
    from playwright.sync_api import Browser
    from torch import nn

    from tuner.data.splits import Split
    from tuner.engine.worker import Job

# Equal commits give equal results; to look for more, with other draws each time: pytest --hypothesis-profile=default
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parent.parent

# Every event of a study is flushed before anyone acts on it, and a disk takes milliseconds for that. Files of tests lie
# in memory where there is enough of it.
_IN_MEMORY = Path("/dev/shm")
if _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_IN_MEMORY))

# Where it is remembered which code a user has run: tests must not know what the machine's user has, nor add to it.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="tuner-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# What a terminal is and may show is said by the tests that ask for it.
os.environ["TERM"] = "xterm-256color"
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)

# Servers of the tests' own are asked without a proxy.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"

_IMAGE = {
    "ami_id": "ami-0123456789abcdef0",
    "name": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20261101",
    "owner_id": "898082745236",
    "public": True,
    "virtualization_type": "hvm",
    "architecture": "x86_64",
    "state": "available",
    "platform": None,
    "image_type": "machine",
    "hypervisor": "xen",
    "description": "",
    "root_device_type": "ebs",
    "root_device_name": "/dev/sda1",
    "sriov": "simple",
    "creation_date": "2026-11-01T00:00:00.000Z",
}
"""moto knows none of the images we look for, so it is given one with their name."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files out, give out first those whose tests may take longest.

    By itself xdist begins with those of many tests, and ends with one process at work on a study and none beside it.
    """
    if hasattr(config, "workerinput"):
        longest: dict[Path, float] = {}
        for item in items:
            limit = item.get_closest_marker("timeout")
            longest[item.path] = max(longest.get(item.path, 0.0), limit.args[0] if limit else 0.0)
        items.sort(key=lambda item: -longest[item.path])


@pytest.fixture(scope="session")
def fashion_mnist_dir() -> Path:
    """The folder with the real Fashion-MNIST; a relative TUNER_DATA_DIR counts from the repository's root."""
    value = os.environ.get("TUNER_DATA_DIR")
    if not value:
        pytest.skip("needs the real Fashion-MNIST: set TUNER_DATA_DIR to a folder with FashionMNIST/raw/*.gz")
    return (REPOSITORY / value).resolve()


@pytest.fixture(scope="session")
def ray_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Ray as a study starts it, once for all tests, for it takes seconds; a study under test joins it."""
    from tuner.config import ResourceConfig
    from tuner.engine.ray_session import ray_session

    with ray_session(ResourceConfig(), tmp_path_factory.mktemp("ray") / "ray.log"):
        yield


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser for all tests; `tests.browser.watched` opens a page in it."""
    from tests.browser import chromium

    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def _moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of moto's server, for all tests."""
    images = tmp_path_factory.mktemp("moto") / "images.json"
    images.write_text(json.dumps([_IMAGE]))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MOTO_AMIS_PATH", str(images))
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def aws(_moto: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty AWS: moto's server on the loopback interface, which speaks the real protocols.

    boto3 and pyarrow, here and in processes started here, talk to it and nobody else.
    """
    urllib.request.urlopen(urllib.request.Request(f"{_moto}/moto-api/reset", method="POST")).close()
    for name, value in {
        "AWS_ENDPOINT_URL": _moto,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return _moto


@pytest.fixture
def bucket(aws: str) -> str:
    """The address of an empty bucket."""
    import boto3

    boto3.client("s3").create_bucket(
        Bucket="some-bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    return "s3://some-bucket"


@pytest.fixture
def job() -> Job:
    """A study's job so small that an epoch takes milliseconds.

    A linear model on 150 and 60 noisy images; the label is where the bright bar is.
    """
    import numpy as np
    from ray import cloudpickle

    from tuner.data.dataset import SearchData
    from tuner.engine.worker import Job
    from tuner.models import get_model
    from tuner.training.classifier import classifier_of

    # Workers cannot import a test's model.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(7)
    train, dev = bars(rng, 150), bars(rng, 60)
    splits = SearchData(train, dev)
    return Job(splits, classifier_of(get_model(linear)), patience=10, precision="float32", threads=1)


def linear(hparams: Mapping[str, Any]) -> nn.Module:
    from torch import nn

    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(784, 10))


def bars(rng: np.random.Generator, n: int) -> Split:
    import numpy as np

    from tuner.data.splits import Split

    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 6 + 2 * label] += 150
    return Split(images, labels)


SPACE = """
MODEL = "small-cnn"
START = [{"learning_rate": 0.01, "batch_size": 32}]


def suggest(trial):
    return {
        "width": 8,
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 3e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64]),
    }
"""


@pytest.fixture(scope="session")
def space_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's space file over a CNN so narrow that an epoch of the digits takes a tenth of a second."""
    path = tmp_path_factory.mktemp("space") / "narrow.py"
    path.write_text(SPACE)
    return path
