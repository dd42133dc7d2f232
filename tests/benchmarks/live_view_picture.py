"""Draw the picture of the live view from a run's journal, as it stood after some seconds of work.

python -m tests.benchmarks.live_view_picture runs/NAME 30 docs/pictures/live-view.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tuner.engine.live.state import LiveState
from tuner.engine.live.view import Size, draw
from tuner.journal.store import read_journal

_WIDTH = 110
_FROM_ELSEWHERE = re.compile(r"@font-face\s*{[^}]*}\s*|<!--.*?-->\s*", re.DOTALL)
"""Rich's pictures fetch a font; the reader's own fixed one does as well."""


def picture(run: Path, seconds: float) -> str:
    """Return the view of the run after so many seconds of work, as SVG."""
    state, elapsed = LiveState(), 0.0
    for entry in read_journal(run / "journal"):
        if entry.elapsed > seconds:
            break
        state.take(entry.event)
        elapsed = entry.elapsed
    console = Console(file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, color_system="truecolor")
    console.print(Text("\n").join(draw(state, elapsed, Size(_WIDTH - 1))), no_wrap=True)
    drawn = console.export_svg(title="python -m tuner.run", theme=MONOKAI)
    return _FROM_ELSEWHERE.sub("", drawn).replace("Fira Code", "ui-monospace, Menlo, Consolas")


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(picture(Path(sys.argv[1]), float(sys.argv[2])), encoding="utf-8")
