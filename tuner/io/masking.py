"""What is not shown of an address, on a screen or in a log."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(
    r"//(?:"
    r"[^\s/?#]*@"
    # A password that should have been escaped: what reads it as an address cannot, and quotes all of it.
    r"|(?![^\s/?#:]*(?::\d+)?[/?#])[^\s:]*:\S*?@"
    r")"
)


def mask_passwords(text: str) -> str:
    """Return the text with `***` for the user and the password of every address in it."""
    return _CREDENTIALS.sub("//***@", text)
