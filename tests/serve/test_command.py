"""Tests of `tuner.serve.command`: what is printed, which port it gets, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.environment import heed_signals
from tuner.errors import ConfigError
from tuner.serve.command import listen, run


def test_the_next_port_is_taken_where_one_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port) as found:
            assert port < found.getsockname()[1] < port + 100


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nowhere"], "RUNS_FOLDER is 'nowhere', but there is no such folder"),
        (["gs://bucket"], "RUNS_FOLDER is 'gs://bucket', but must be a folder or s3://bucket/prefix"),
        (["--port", "70000"], "--port is 70000, but must be from 0 to 65535"),
        (["--host", "192.0.2.1"], "--host is '192.0.2.1', on which this machine cannot listen"),
        (["--host", "foo..bar"], "--host is 'foo..bar', which is no address"),
        (["--host", "no such host"], "--host is 'no such host', which is no address"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    args: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        run(args)


def test_the_command_prints_an_address_that_answers_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    """With a token, while somebody watches; what it prints on the way is all it prints."""
    command = [sys.executable, "-m", "tuner.serve", str(tmp_path), "--port", "0", "--token"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals
    ) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        said = server.stdout.readline()
        address = said.rpartition(" ")[2].strip()
        assert said.startswith(f"The runs of {tmp_path}: http://127.0.0.1:")
        assert server.stdout.readline() == "Ctrl-C ends it.\n"
        token = address.partition("?token=")[2]
        asked = urllib.request.Request(
            address.partition("?")[0] + "api/runs", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(asked, timeout=30) as events:
            assert events.readline() == b"retry: 2000\n"
            server.send_signal(signal.SIGINT)
            assert server.wait(15) == 0
        assert (server.stdout.read(), server.stderr.read()) == ("", "")
