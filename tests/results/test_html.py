from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import PHONE, violations, watched
from tuner.journal.events import EpochReported, Event, StudyStarted
from tuner.journal.history import History
from tuner.results.html import html_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests look at, and fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        """What is read, scripts and styles left out."""
        self.scripts: list[str] = []
        """Those that the browser runs."""
        self.plotly = ""
        """Compressed."""
        self.figures: dict[str, Any] = {}
        """By view, as plotly gets them."""
        self._script: dict[str, str | None] | None = None
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._script = dict(attrs) if tag == "script" else None
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            assert self._script is not None
            if "type" not in self._script:
                self.scripts.append(data)
            elif self._script["id"] == "plotly":
                self.plotly = data
            elif (name := self._script["id"] or "").endswith("-figure"):
                self.figures[name.removesuffix("-figure")] = json.loads(data)
        elif self._open and self._open[-1] != "style":
            self.text += data


@pytest.fixture
def source(finished: History) -> str:
    return html_report(finished, "study")


@pytest.fixture
def page(source: str) -> Page:
    return Page(source)


def test_the_page_needs_no_network_and_runs_no_script_but_ours(source: str, page: Page) -> None:
    assert not {"link", "iframe", "object", "base", "form"} & set(page.tags)
    targets = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert all(value.startswith("#") for value in targets)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    (policy,) = (value for name, value in page.attributes if value.startswith("default-src"))
    scripts = [*page.scripts, gzip.decompress(base64.b64decode(page.plotly)).decode()]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(hashes) == 4
    assert "://" not in source
    assert policy.split("; ")[:2] == [
        "default-src 'none'",
        "script-src " + " ".join(f"'sha256-{one}'" for one in hashes),
    ]
    assert len(source) < 2_500_000


def test_hostile_names_and_traces_are_text(source: str, page: Page) -> None:
    assert "<script>alert" not in source
    # Once as the space's name, twice in the failed trial's reason and trace.
    assert page.text.count("<script>alert('x')</script>") == 3


def test_no_name_in_a_figure_ends_its_script_or_makes_a_tag(
    build: Callable[[Sequence[Event]], History], two_objectives: list[Event]
) -> None:
    hostile = "</script><img src=x onerror=alert(1)>"
    started = two_objectives[0]
    assert isinstance(started, StudyStarted)
    config = {**started.config, "search": {"objectives": ["dev_accuracy", f"{hostile}:minimize"]}}
    events = [
        replace(one, metrics={**one.metrics, hostile: 0.5}) if isinstance(one, EpochReported) else one
        for one in [replace(started, config=config), *two_objectives[1:]]
    ]
    source = html_report(build(events), "study")
    page = Page(source)
    assert "img" not in page.tags
    assert page.figures["front"]["layout"]["xaxis"]["title"]["text"].startswith("&lt;/script&gt;")


def test_every_id_is_unique_and_every_reference_is_met(source: str, page: Page) -> None:
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(ids)
    assert {value for name, value in page.attributes if name in ("data-figure", "aria-labelledby")} <= set(ids)


def test_the_answer_comes_first_then_its_table(page: Page) -> None:
    assert page.tags.count("h1") == 1
    assert ("name", "viewport") in page.attributes
    answer = page.text.index("After tuning, the test accuracy is 0.9150 ±0.0071 (mean of 2 seeds)")
    assert answer < page.text.index("0.9350 ±0.0071") < page.text.index("Trial 0 won")
    assert "0.9353" in page.text


def test_the_figures_hold_the_runs_numbers(page: Page) -> None:
    assert list(page.figures) == ["learning-curves", "history", "rungs", "trials", "timeline"]
    lines = {line["name"]: line for line in page.figures["learning-curves"]["data"] if len(line["x"]) == 2}
    assert lines["tuned, dev"]["x"] == [1, 2]
    assert lines["tuned, dev"]["y"] in ([0.4, 0.3], [0.88, 0.92])
    (best, _) = (line for line in page.figures["history"]["data"] if line["name"] == "best so far")
    assert best["y"] == [0.8, 0.9, 0.9]
    assert best["customdata"] == [0, 0, 0]
    (winner,) = (line for line in page.figures["trials"]["data"] if line["name"] == "trial 0, the best")
    assert winner["y"] == [0.8, 0.9, 0.9, None]


def test_equal_histories_give_equal_pages(source: str, finished: History) -> None:
    assert html_report(finished, "study") == source


@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_draws_every_figure_in_the_readers_colours(
    source: str, browser: Browser, tmp_path: Path, dark: bool
) -> None:
    path = tmp_path / "report.html"
    path.write_text(source)
    with watched(browser, PHONE, dark=dark) as page:
        page.goto(path.as_uri())
        page.wait_for_selector(f"html[data-drawn={'dark' if dark else 'light'}]")
        assert page.locator(".figure .main-svg").count() >= 3
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []
        text = page.locator(".xtick text").first.evaluate("one => getComputedStyle(one).fill")
        assert text == ("rgb(220, 225, 231)" if dark else "rgb(36, 41, 47)")


def test_on_paper_the_figures_are_light_and_fit(source: str, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(source)
    with watched(browser, dark=True) as page:
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-drawn=dark]")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        fill = "one => getComputedStyle(one).fill"
        assert page.locator(".xtick text").first.evaluate(fill) == "rgb(36, 41, 47)"
        assert max(page.locator(".figure .main-svg").evaluate_all("all => all.map(one => one.clientWidth)")) == 700
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.wait_for_function("getComputedStyle(document.querySelector('.xtick text')).fill === 'rgb(220, 225, 231)'")


@pytest.mark.parametrize("run", ["nothing", "searching"])
def test_an_unfinished_run_has_a_page_that_says_so(run: str, request: pytest.FixtureRequest) -> None:
    page = Page(html_report(request.getfixturevalue(run), "study"))
    assert "not finished" in page.text
    assert "The winner has not been retrained" in page.text


@pytest.mark.parametrize("objectives", [["dev_accuracy", "num_params"], ["dev_accuracy", "num_params", "latency"]])
def test_with_several_objectives_the_front_is_drawn_and_listed(
    build: Callable[[Sequence[Event]], History], two_objectives: list[Event], objectives: list[str]
) -> None:
    started = two_objectives[0]
    assert isinstance(started, StudyStarted)
    history = build(
        [replace(started, config={**started.config, "search": {"objectives": objectives}}), *two_objectives[1:]]
    )
    source = html_report(history, "study")
    page = Page(source)
    assert "2 of 2 trials are on the front of best dev accuracy and num params" in page.text
    assert "1,000" in page.text
    assert "Num params: trainable parameters of the model." in page.text
    assert ("2.5ms" in page.text) == ("latency" in objectives)
    axes = [axis["title"]["text"] for name, axis in page.figures["front"]["layout"].items() if name.startswith("xaxis")]
    assert axes == ["trainable parameters", "milliseconds for one example"][: len(objectives) - 1]
    assert html_report(history, "study") == source


def test_with_one_objective_there_is_no_front(source: str) -> None:
    assert "front" not in Page(source).text.lower()


def test_before_a_trial_has_a_place_there_is_no_front(
    build: Callable[[Sequence[Event]], History], two_objectives: list[Event]
) -> None:
    assert "On the front" not in Page(html_report(build(two_objectives[:3]), "study")).text
