"""Tests of the command `python -m tuner.describe`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tuner import describe
from tuner.cli import main
from tuner.data import load_dataset
from tuner.describe import DescribeConfig
from tuner.errors import ConfigError


def output(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    describe.run(args)
    return capsys.readouterr().out


def failure(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line on stderr of a command that must exit with code 2 and print nothing else."""
    with pytest.raises(SystemExit) as caught:
        main(lambda: describe.run(args))
    printed = capsys.readouterr()
    assert (caught.value.code, printed.out) == (2, "")
    (line,) = printed.err.splitlines()
    return line


def test_it_prints_the_references_numbers(fashion_mnist_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--dataset", "fashion-mnist", "--data-dir", str(fashion_mnist_dir))
    rows = {words[0]: words[1:6] for line in text.splitlines() if len(words := line.split()) == 12}
    assert rows["mean"] == ["0.000900", "0.006160", "0.030940", "0.107540", "0.253580"]
    assert rows["std"] == ["0.100893", "0.269673", "0.800147", "2.558106", "4.300201"]
    assert rows["max"] == ["16.000000", "36.000000", "119.000000", "164.000000", "224.000000"]
    assert "train  images (50000, 28, 28)" in text
    assert "train 0, dev 0, test 0" in text
    assert "9  Ankle boot" in text
    assert "1,813,050 parameters: 1,811,706 trainable, 1,344 not trainable" in text


def test_the_digits_need_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "--dataset", "digits")
    assert "Data set: digits" in text
    assert "train  images (1074, 28, 28)  labels (1074,)" in text
    assert "block4.conv2    ConvRelu     256 x 3 x 3      590,080" in text


def test_json_holds_all_columns_and_every_block(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(output(capsys, "--dataset", "digits", "--json"))
    assert document["dataset"] == "digits"
    assert document["notice"] is None
    assert document["shapes"] == {"train": [1074, 28, 28], "dev": [359, 28, 28], "test": [364, 28, 28]}
    assert set(document["pixels"]) == {"count", "mean", "std", "min", "25%", "50%", "75%", "max"}
    assert {len(values) for values in document["pixels"].values()} == {784}
    assert document["missing_values"] == {"train": 0, "dev": 0, "test": 0}
    assert sum(document["class_balance"]["train"].values()) == 1074
    assert document["duplicates"]["images"] == 0
    assert document["model"]["total"] == 1_813_050
    assert document["model"]["layers"][0] == {
        "name": "stem.conv1",
        "type": "ConvRelu",
        "output_shape": [16, 28, 28],
        "parameters": 160,
    }


def test_a_notice_goes_to_stderr(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fallen_back = replace(load_dataset("digits", None), notice="NOT what you wanted")
    monkeypatch.setattr(describe, "load_dataset", lambda name, data_dir: fallen_back)
    describe.run(["--json"])
    printed = capsys.readouterr()
    assert printed.err == "NOTICE: NOT what you wanted\n"
    assert json.loads(printed.out)["notice"] == "NOT what you wanted"


def test_a_bad_value_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure(capsys, "--dataset", "mnist").endswith("must be one of: auto, digits, fashion-mnist.")
    assert failure(capsys, "--model", "vgg") == "error: model is 'vgg', but must be one of: cnn, resnet, small-cnn."
    assert "'--datset' is not an argument" in failure(capsys, "--datset", "digits")
    missing = failure(capsys, "--data-dir", str(tmp_path))
    assert str(tmp_path) in missing
    assert "8d4fb7e6c68d591d4c3dfef9ec88bf0d" in missing


def test_an_unknown_model_is_refused_before_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model is"):
        describe.describe(DescribeConfig(data_dir=tmp_path, model="vgg"))
