"""Fixtures that every test may use."""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

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
    # Not at the top: most tests need no Ray.
    from tuner.config import ResourceConfig
    from tuner.study.ray_session import ray_session

    with ray_session(ResourceConfig(), tmp_path_factory.mktemp("ray") / "ray.log"):
        yield


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty AWS: moto's server on the loopback interface, which speaks the real protocols.

    boto3 and pyarrow, here and in processes started here, talk to it and nobody else.
    """
    images = tmp_path / "images.json"
    images.write_text(json.dumps([_IMAGE]))
    monkeypatch.setenv("MOTO_AMIS_PATH", str(images))
    from moto.server import ThreadedMotoServer  # reads the images when imported

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    # All servers of a process share one memory.
    urllib.request.urlopen(urllib.request.Request(f"{address}/moto-api/reset", method="POST")).close()
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    try:
        yield address
    finally:
        server.stop()


@pytest.fixture
def bucket(aws: str) -> str:
    """The address of an empty bucket."""
    import boto3

    boto3.client("s3").create_bucket(
        Bucket="some-bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    return "s3://some-bucket"
