"""A conversation as one HTML file: complete in itself, with nothing in it that runs or is fetched."""

from chatcli.render.html_export.document import to_html

__all__ = ["to_html"]
