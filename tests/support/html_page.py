"""A parser of the HTML pages that the library writes."""

from html.parser import HTMLParser

VOID = {"meta", "img", "path", "link", "br"}


class Page(HTMLParser):
    """A page whose tags must nest; it collects them, and the table's text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.table = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.table.append([])

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.table[-1].append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]
