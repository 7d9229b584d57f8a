"""What a browser makes of a page, as far as a parser of tags can tell."""

from __future__ import annotations

from html.parser import HTMLParser


class Looked(HTMLParser):
    """The content a browser would show."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.links, self.text = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data):
        self.text.append(data)


class Nesting(HTMLParser):
    """Reports an element that is not closed, or not in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Leave out an element of SVG that is closed at once."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def refuse_loose_ends(html):
    nesting = Nesting()
    nesting.feed(html)
    nesting.close()
    assert nesting.open == []


class Tables(HTMLParser):
    """The rows of cells of each table, by its caption."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.by_caption = {}
        self._caption, self._rows, self._text = "", [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        match tag:
            case "table":
                self._rows = []
            case "tr":
                self._rows.append([])
            case "caption" | "th" | "td":
                self._text = []

    def handle_data(self, data):
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag):
        if tag in {"caption", "th", "td"}:
            text = "".join(self._text)
            self._text = None
            if tag == "caption":
                self._caption = text
            else:
                self._rows[-1].append(text)
        elif tag == "table":
            self.by_caption[self._caption] = self._rows
