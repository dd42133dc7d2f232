"""Tests of `tuner.io.masking`: what of an address is not shown."""

from __future__ import annotations

import pytest

from tuner.io.masking import mask_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to https://me:secret@host:5000/api failed", "to https://***@host:5000/api failed"),
        ("postgresql+psycopg2://me:s%40cret@host/db", "postgresql+psycopg2://***@host/db"),
        ("'https://token@host' and //me:secret@host", "'https://***@host' and //***@host"),
        # As it stands where an address could not be read, which is when it is quoted.
        ("Invalid url: http://me:p@ssword@host/api", "Invalid url: http://***@host/api"),
        ("Invalid url: http://me:se/cret@host/api", "Invalid url: http://***@host/api"),
        ("Invalid url: http://:se?cret@host/api", "Invalid url: http://***@host/api"),
        ("Invalid url: http://me:#cret@host/api", "Invalid url: http://***@host/api"),
    ],
)
def test_who_and_by_what_password_is_masked(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host:5000/of/me@home?to=you@home",
        "http://host/a:b@c",
        "https://host?to=you@home",
        "sqlite:///runs/me@home/mlflow.db",
        "s3://bucket/prefix, or me:you@home",
        "7 // 2 @ x",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert mask_passwords(text) == text
