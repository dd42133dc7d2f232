"""The live page in a real browser: a list, a run, an update while another process writes; nothing asked outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import PHONE, violations, watched
from tests.results.conftest import AFTER, HOSTILE, OPENING, SEARCH
from tests.serve.conftest import Serve
from tuner.journal.store import JournalWriter

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_APPEND = """
import sys
from pathlib import Path
from tests.results.conftest import epoch
from tuner.journal.store import JournalWriter
with JournalWriter(Path(sys.argv[1])) as journal:
    journal.append(epoch(3, 1, 0.95))
    sys.stdin.read()  # a driver at work
"""


def written(folder: Path, *, is_finished: bool = False) -> Path:
    with JournalWriter(folder / "journal") as journal:
        journal.append(*OPENING, *SEARCH, *(AFTER if is_finished else ()))
    return folder


def test_a_run_is_found_in_the_list_opened_and_followed_while_another_process_writes(
    browser: Browser, serve: Serve, tmp_path: Path
) -> None:
    run = written(tmp_path / "runs" / HOSTILE.replace("/", "|"))
    with watched(browser) as page:
        page.goto(serve(run.parent).address)
        page.get_by_role("link", name=run.name).click()
        page.locator("#name").get_by_text(run.name, exact=True).wait_for()
        page.locator("#marks").get_by_text("0.9000").first.wait_for()
        page.locator("#history").scroll_into_view_if_needed()
        page.locator(".main-svg").first.wait_for()
        arguments = [sys.executable, "-c", _APPEND, str(run / "journal")]
        with subprocess.Popen(arguments, stdin=subprocess.PIPE) as driver:
            page.locator("#marks").get_by_text("0.9500").wait_for()
            page.locator("#state").get_by_text("Running").wait_for()
            page.locator("#running").get_by_text("Trial 3").wait_for()
            assert driver.stdin is not None
            driver.stdin.close()
        page.locator("#state").get_by_text("Stopped").wait_for()
        # What a run says is text: neither its name nor a trace has become a script.
        assert page.locator("body script").count() == 0
        assert HOSTILE in (page.locator("#failures pre").text_content() or "")


@pytest.mark.parametrize("dark", [False, True])
def test_nobody_is_kept_out(browser: Browser, serve: Serve, tmp_path: Path, dark: bool) -> None:
    """By axe-core's rules, on a phone and in both colour schemes."""
    written(tmp_path / "done", is_finished=True)
    written(tmp_path / "search")
    served = serve(tmp_path)
    with watched(browser, PHONE, dark=dark) as page:
        page.goto(served.address)
        page.get_by_role("link", name="done").wait_for()
        assert violations(page) == []
        for name in ("search", "done"):
            page.goto(f"{served.address}/runs/{name}")
            page.locator("#learning-curves, #history").first.scroll_into_view_if_needed()
            page.locator(".main-svg").first.wait_for()
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
