"""The documentation as a site: built without a warning, it fetches nothing from elsewhere, and every link leads on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import tuner
from tests.documents import REPOSITORY
from tuner.__main__ import available_commands
from tuner.completion import arguments_of

FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href", "object": "data"}
"""What a browser gets by itself, by the tag that names it."""


class Page(HTMLParser):
    """What a page fetches, links to, and can be linked to at."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        target = found.get(FETCHED.get(tag, ""))
        if target:
            self.fetched.append(target)
        if tag == "a" and (link := found.get("href")):
            self.links.append(link)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as strictly as it can be."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


@pytest.mark.timeout(180)
def test_every_document_is_a_page_and_every_page_is_found_from_the_first(site: Path, pages: dict[Path, Page]) -> None:
    assert {path.stem for path in (REPOSITORY / "docs").glob("*.md")} == {path.stem for path in pages} - {"404"}
    first = {urlsplit(link).path for link in pages[site / "index.html"].links}
    assert {path.name for path in pages} - {"404.html", "index.html"} <= first


def test_no_page_fetches_anything_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert sum(len(page.fetched) for page in pages.values()) > len(pages)
    for path, page in pages.items():
        assert [one for one in page.fetched if urlsplit(one).netloc] == [], path
    for path in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import\s*)[\"']?(?:https?:)?//[^)]*", path.read_text(encoding="utf-8")) == [], (
            path
        )


def test_no_link_leads_nowhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        if path.name == "404.html":  # its links count from the root of a server
            continue
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            assert target.is_file(), f"{path.name} names {link}"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in {*pages[target].anchors, "__skip"}, f"{path.name} names {link}"


def test_what_people_import_is_in_the_reference(site: Path, pages: dict[Path, Page]) -> None:
    named = {anchor.rpartition(".")[2] for anchor in pages[site / "reference.html"].anchors}
    assert set(tuner.__all__) <= named


@pytest.mark.parametrize("command", available_commands())
def test_every_argument_of_every_command_is_on_its_page(command: str, site: Path) -> None:
    text = (site / "commands.html").read_text(encoding="utf-8")
    described = text.partition(f'id="tuner-{command}"')[2].partition("<h2")[0]
    for argument in arguments_of(command):
        assert f"<code>{argument.name}" in described.replace("--[no-]", "--"), argument.name
