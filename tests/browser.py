"""A page in a real browser, watched: it must say nothing on the console and ask nobody outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).resolve().parent.parent / ".cache" / "axe.min.js"
DESKTOP, PHONE = (1280, 800), (390, 844)
"""Width and height in pixels."""

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_INSIDE = ("file://", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window; the test is skipped where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser: {CHROMIUM} is missing (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watched(browser: Browser, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Iterator[Page]:
    """An empty page of a reader of his own; at the end nothing was complained of and nobody outside was asked."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        yield page
        assert complaints == []
        assert [url for url in asked if not url.startswith(_INSIDE)] == []
    finally:
        context.close()


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with the page for people who see, hear or point otherwise, a line each."""
    if not AXE.exists():
        pytest.skip(f"needs axe-core: {AXE} is missing (.ci/run fetches it with npm)")
    # Not as a script element, which the page's policy forbids.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {one['help']} ({one['nodes'][0]['html'][:120]})" for one in found]
