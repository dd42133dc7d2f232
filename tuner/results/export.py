"""Writing everything that is derived from a run's journal into its folder."""

from __future__ import annotations

from tuner.errors import StorageError
from tuner.io.files import write_text
from tuner.journal.history import History
from tuner.paths import RunPaths
from tuner.results.best import read_description
from tuner.results.html import html_report
from tuner.results.kept import read_kept
from tuner.results.model_card import model_card
from tuner.results.tables import write_tables
from tuner.results.text import text_report


def export(history: History, paths: RunPaths) -> None:
    """Write the tables, both reports and, beside a model in `best/`, its card; an unfinished run says it is one."""
    name = paths.root.resolve().name
    write_tables(history, paths)
    write_text(paths.report_text, text_report(history, name))
    write_text(paths.report_html, html_report(history, name, read_kept(paths)))
    if paths.best_model.is_file():
        card = model_card(history, name, is_of_images=_is_of_images(paths))
        if card is not None:
            write_text(paths.model_card, card)


def _is_of_images(paths: RunPaths) -> bool:
    try:
        return read_description(paths).is_of_images
    except StorageError:  # damaged, of which whoever reads the model is told
        return False
