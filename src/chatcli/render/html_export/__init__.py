"""A conversation as one self-contained HTML file: no scripts, nothing fetched."""

from chatcli.render.html_export.document import to_html

__all__ = ["to_html"]
