"""Tests of `tuner.serve.logs`: what trainings printed, asked for over a socket and looked at in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import violations, watched
from tests.results.conftest import HOSTILE, OPENING, SEARCH
from tests.serve.conftest import Serve
from tuner.journal.store import JournalWriter
from tuner.paths import RunPaths
from tuner.serve.logs import log_names, log_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run with two logs, and a secret beside them."""
    folder = tmp_path / "runs" / HOSTILE.replace("/", "|")
    with JournalWriter(folder / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
    (folder / "logs").mkdir()
    (folder / "logs" / "trial-00003.log").write_text(f"--- epoch 1, 12:00:00\n{HOSTILE}\n")
    (folder / "logs" / "retrain-tuned-1.log").write_bytes(b"\xff\n")
    (folder / "secret.log").write_text("secret")
    return folder


def test_a_log_is_found_and_read_from_the_page_of_the_run(browser: Browser, serve: Serve, run: Path) -> None:
    with watched(browser) as page:
        page.goto(serve(run.parent).address)
        page.get_by_role("link", name=run.name).click()
        page.get_by_role("link", name="What trainings printed").click()
        page.get_by_role("heading", name=f"Logs of {run.name}").wait_for()
        assert violations(page) == []
        assert page.get_by_role("listitem").all_text_contents() == ["retrain-tuned-1.log", "trial-00003.log"]
        page.get_by_role("link", name="trial-00003.log").click()
        page.get_by_text(HOSTILE).wait_for()
        assert page.locator("body script").count() == 0


def test_a_run_without_logs_offers_none(serve: Serve, tmp_path: Path) -> None:
    with JournalWriter(tmp_path / "quiet" / "journal") as journal:
        journal.append(*OPENING, *SEARCH)
    served = serve(tmp_path)
    with served.events("/api/runs/quiet") as events:
        assert next(value for name, value in events if name == "status")["logs"] is False
    assert served.ask("/runs/quiet/logs/trial-00003.log").status == 404
    assert b"There are none here." in served.ask("/runs/quiet/logs").body
    assert served.ask("/runs/nobody/logs").status == 404


@pytest.mark.parametrize("name", ["notes.txt", ".log", "folder.log", "link.log", "pipe.log", "nothing.log"])
def test_only_logs_are_listed_and_read(serve: Serve, run: Path, name: str) -> None:
    run = run.rename(run.parent / "run")
    for file in ("notes.txt", ".log"):
        (run / "logs" / file).write_text("secret")
    (run / "logs" / "folder.log").mkdir()
    (run / "logs" / "link.log").symlink_to(run / "secret.log")
    os.mkfifo(run / "logs" / "pipe.log")
    served = serve(run.parent)
    assert served.ask(f"/runs/run/logs/{name}").status == 404
    assert f">{name}<" not in served.ask("/runs/run/logs").body.decode()


@pytest.mark.parametrize("name", ["../secret.log", "..", "/etc/hostname"])
def test_a_name_that_leads_elsewhere_is_none_of_a_log(run: Path, name: str) -> None:
    assert log_text(RunPaths(run), name) is None
    assert log_text(RunPaths(run), "trial-00003.log") is not None


def test_a_folder_of_logs_that_lies_elsewhere_is_not_read(run: Path, tmp_path: Path) -> None:
    (run / "logs").rename(tmp_path / "elsewhere")
    (run / "logs").symlink_to(tmp_path / "elsewhere")
    assert log_names(RunPaths(run)) == []
    assert log_text(RunPaths(run), "trial-00003.log") is None


def test_a_log_is_text_whatever_it_holds(serve: Serve, run: Path) -> None:
    run.rename(run.parent / "run")
    served = serve(run.parent)
    answer = served.ask("/runs/run/logs/retrain-tuned-1.log")
    assert answer.body.decode() == "\N{REPLACEMENT CHARACTER}\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
