"""The pictures of a run, one module each, for the report, the live page and notebooks alike.

Every function takes a history and returns a plotly figure, or None while there is nothing to show. Equal histories give
equal figures. Only SVG traces are drawn: they print, need no graphics card, and no code made from text in the page.
"""
