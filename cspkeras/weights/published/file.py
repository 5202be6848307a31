"""What is known of a published file of weights: where it lies, what proves it, its licence and its accuracy."""

from dataclasses import dataclass
from pathlib import Path

HUB = "https://huggingface.co/"


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights, as published."""

    url: str  # of the Hugging Face Hub, the folder of the repository; "" where the file comes with the package
    license: str | None  # None: no licence, or on Google Drive alone; such a file is never fetched
    classes: int | tuple[str, ...]  # what its classifier or its heads predict
    figure: str | None = None  # the published accuracy, with its measure and the side of the input in pixels
    size: int | None = None  # bytes
    # KIND:DIGEST, hexadecimal, or its first digits; KIND is one of hashlib's, or "git" for a blob's id
    checksum: str | None = None
    stated: str = ""  # who states size and checksum
    side: int | None = None  # the input's in pixels where the constructor has no default
    layout: str | None = None  # of the network, where it has several
    file: str = ""  # the name of the copy, if the address has none

    @property
    def name(self) -> str:
        """The file's name, in the cache and on a mirror."""
        return self.file or self.url.rpartition("/")[2]

    @property
    def hub(self) -> str | None:
        """The repository on the Hugging Face Hub, which states the sha256 of its own files; None for other hosts."""
        return self.url.removeprefix(HUB) if self.url.startswith(HUB) else None

    @property
    def bundled(self) -> Path | None:
        """The path of a file that comes with the package, else None."""
        return None if self.url else Path(__file__).parent.parent / self.file

    @property
    def source(self) -> str:
        """Where the file comes from, for people."""
        return self.url or self.stated

    @property
    def proof(self) -> str:
        """What a copy is checked by, beside its structure, for people."""
        if self.hub:
            return "sha256 of the Hub"
        if self.bundled:
            return "in the package"
        if self.license is None:
            return "none, not fetched"
        kind, _, digest = (self.checksum or "").partition(":")
        if not kind:
            return "size and structure alone"
        return "git blob id" if kind == "git" else f"{kind}, first 8 digits" if len(digest) == 8 else kind
