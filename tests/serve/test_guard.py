"""Tests of `tuner.serve.guard`: what a stranger, another site or another method gets, over a real socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serve.conftest import Serve
from tuner.serve.guard import is_loopback

TOKEN = "a-token-of-these-tests"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.0.9", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.7", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_loopback_is_taken_for_it(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_every_answer_forbids_what_the_page_does_not_need(serve: Serve, tmp_path: Path) -> None:
    served = serve(tmp_path)
    for path in ("/", "/static/page.js", "/static/nothing", "/runs/nobody"):
        headers = served.ask(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe-eval" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Access-Control-Allow-Origin"] is None


def test_under_a_name_that_is_not_ours_nothing_is_told(serve: Serve, tmp_path: Path) -> None:
    """As it comes when a page elsewhere has made its own name point here."""
    served = serve(tmp_path)
    for host in ("evil.example", f"evil.example:{served.port}", "192.168.1.7", "", "localhost.evil.example", "[::2]"):
        assert served.ask("/", headers={"Host": host}).status == 421
    for host in ("localhost", f"127.0.0.1:{served.port}", "LOCALHOST:1", "[::1]:80"):
        assert served.ask("/", headers={"Host": host}).status == 200


def test_where_others_reach_it_it_has_its_name_and_its_addresses(serve: Serve, tmp_path: Path) -> None:
    served = serve(tmp_path, host="box.example", token=TOKEN)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for host in ("box.example", "10.0.0.4:8400", "localhost"):
        assert served.ask("/", headers={"Host": host, **bearer}).status == 200
    assert served.ask("/", headers={"Host": "evil.example", **bearer}).status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_but_reading_is_allowed(serve: Serve, tmp_path: Path, method: str) -> None:
    answer = serve(tmp_path).ask("/api/runs/run/predict", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_without_the_token_nothing_is_told(serve: Serve, tmp_path: Path) -> None:
    served = serve(tmp_path, token=TOKEN)
    cookie = f"tuner-{served.port}"
    wrong = [
        {},
        {"Cookie": f"{cookie}=wrong"},
        {"Cookie": f"{cookie}="},
        {"Cookie": "=;;;\xff"},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer "},
    ]
    for headers in wrong:
        for path in ("/", "/api/runs", "/static/page.js", "/?token=", "/?token=wrong", "/?token=%ff"):
            answer = served.ask(path, headers=headers)
            assert answer.status == 401
            assert TOKEN not in str(answer.headers)


def test_the_token_moves_from_the_address_into_a_cookie_that_scripts_cannot_read(serve: Serve, tmp_path: Path) -> None:
    served = serve(tmp_path, token=TOKEN)
    answer = served.ask(f"/runs/a%23b?x=1&token={TOKEN}")
    assert (answer.status, answer.headers["Location"]) == (303, "/runs/a%23b?x=1")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert served.ask("/", headers={"Cookie": cookie.partition(";")[0]}).status == 200


@pytest.mark.parametrize(
    "others",
    [
        'prefs={"theme":"dark"}; %s',
        "a=b c; %s",
        "foo; %s",
        "a,b=c; %s; d",
        "n\u00e4me=\u00fc; %s",
        "=;;;%s",
        "%s; a=b c",
        "a=%s",
    ],
)
def test_cookies_of_other_apps_on_the_host_do_not_hide_the_token(serve: Serve, tmp_path: Path, others: str) -> None:
    served = serve(tmp_path, token=TOKEN)
    ours = f"tuner-{served.port}={TOKEN}"
    expected = 401 if others == "a=%s" else 200  # there it is another cookie's value
    assert served.ask("/", headers={"Cookie": others % ours}).status == expected
    assert served.ask("/", headers={"Cookie": others % f"tuner-{served.port}=wrong"}).status == 401


@pytest.mark.parametrize("path", ["//evil.example", "/%5Cevil.example", "///evil.example/%2e%2e"])
def test_the_token_leads_to_no_other_server(serve: Serve, tmp_path: Path, path: str) -> None:
    answer = serve(tmp_path, token=TOKEN).ask(f"{path}?token={TOKEN}")
    location = answer.headers["Location"]
    assert location.startswith("/")
    assert location[1] not in "/\\"
