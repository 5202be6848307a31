"""Parsers of the HTML pages that the library writes."""

from html.parser import HTMLParser

from cspkeras.tflite.device.printing import printable

VOID = {"meta", "img", "path", "link", "br"}


class Page(HTMLParser):
    """A page whose tags must nest; it collects them, the table's text, and the names in each legend."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.table, self.legends = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.table.append([])
        if ("class", "legend") in attributes:
            self.legends.append([])

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.table[-1].append(data)
        if self.open and self.open[-1] == "span":
            self.legends[-1].append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


class Parts(HTMLParser):
    """A page's tags with the names of their attributes, and its texts: what is between tags and in attributes."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, *(name for name, _ in attributes)))
        self.texts += [value for _, value in attributes if value]

    def handle_data(self, data):
        self.texts.append(data)

    def shows(self, name):
        """Whether a name is among the texts, in whole."""
        return any(printable(name) in text for text in self.texts)

    def scripts(self):
        """Return the tags that run code."""
        return [tag for tag in self.tags if tag[0] == "script" or any(name.startswith("on") for name in tag[1:])]
