from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib
import pytest

from tuner.journal.events import Event, StudyStarted
from tuner.journal.history import History
from tuner.results.html import html_report

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects what the tests look at, and fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def source(finished: History) -> str:
    return html_report(finished, "study")


def test_the_page_needs_no_network_and_no_script(source: str) -> None:
    page = Page(source)
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    targets = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert all(value.startswith("#") for value in targets)
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not re.search(r"@import|url\((?!#)", source)


def test_hostile_names_and_traces_are_text(source: str) -> None:
    page = Page(source)
    assert "<script>" not in source
    # Once as the space's name, twice in the failed trial's reason and trace.
    assert page.text.count("<script>alert('x')</script>") == 3


def test_every_id_is_unique_and_every_reference_within_a_drawing_is_met(source: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', source)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', source)) <= set(ids)


def test_the_drawings_are_well_formed_named_and_scale_with_the_page(source: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib
    assert source.count('role="img" aria-label="') == 3


def test_the_page_has_one_title_headings_and_the_final_table(source: str) -> None:
    page = Page(source)
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") >= 5
    assert ("name", "viewport") in page.attributes
    assert "0.9350 ±0.0071" in page.text
    assert "0.9353" in page.text


def test_equal_histories_give_equal_pages(source: str, finished: History) -> None:
    assert html_report(finished, "study") == source


def test_the_users_own_style_for_drawings_is_not_used(source: str, finished: History) -> None:
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "red", "lines.linewidth": 9}):
        assert html_report(finished, "study") == source
        assert matplotlib.rcParams["text.usetex"]


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
    (drawing,) = re.findall(r'<figure role="group" aria-label="Front">.*?(<svg.*?</svg>)', source, re.DOTALL)
    ElementTree.fromstring(drawing)
    assert "trainable parameters" in drawing
    assert ("milliseconds for one example" in drawing) == ("latency" in objectives)
    ids = re.findall(r'\bid="([^"]+)"', source)
    assert len(ids) == len(set(ids))
    assert html_report(history, "study") == source


def test_with_one_objective_there_is_no_front(source: str) -> None:
    assert "front" not in Page(source).text.lower()


def test_before_a_trial_has_a_place_there_is_no_front(
    build: Callable[[Sequence[Event]], History], two_objectives: list[Event]
) -> None:
    assert "On the front" not in Page(html_report(build(two_objectives[:3]), "study")).text
