"""The code of a Markdown page: its blocks by language, the lines for a shell, and the code within sentences."""

import re
import shlex

from markdown_it import MarkdownIt


def blocks(text):
    """Yield (language, code) of each block; those that are indented are for a shell."""
    for token in MarkdownIt().enable("table").parse(text):
        if token.type == "code_block":
            yield "sh", token.content
        elif token.type == "fence":
            yield token.info.strip(), token.content


def commands(text):
    """Yield each command of the blocks for a shell, as its words without comment and variables set for it."""
    for language, code in blocks(text):
        if language != "sh":
            continue
        for line in code.splitlines():
            for part in line.split(" && "):
                words = shlex.split(part, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words = words[1:]
                if words:
                    yield words


def spans(text):
    """Yield the code within sentences and tables."""
    for token in MarkdownIt().enable("table").parse(text):
        yield from (child.content for child in token.children or () if child.type == "code_inline")
