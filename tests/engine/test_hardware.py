"""Tests of `tuner.engine.hardware`: numbers can be traced to the machine that made them."""

from __future__ import annotations

import json
import socket

import pytest
import torch

from tuner.engine.hardware import describe_hardware
from tuner.engine.processors import usable_cpus
from tuner.errors import ConfigError


def test_a_machine_is_described_for_json() -> None:
    found = describe_hardware("float32")
    assert json.loads(json.dumps(found)) == found
    assert found["host"] == socket.gethostname()
    assert found["cpus"] == usable_cpus()
    assert found["memory_gib"] > 0
    assert found["cpu"]
    assert found["gpus"] == [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    assert found["precision"] == "float32"


def test_an_unknown_precision_lists_those_that_exist() -> None:
    with pytest.raises(ConfigError, match=r"precision is 'float16', but must be one of: "):
        describe_hardware("float16")
