"""Fetch published files from the Hugging Face Hub into its own cache, and check them."""

import hashlib
import re
from pathlib import Path


def fetch(repository, filename="model.safetensors", revision=None):
    """Return the path of a file of the Hub in huggingface-hub's cache; fetch it if it is not there.

    The file must have a known sha256, as all large ones have on the Hub; one that has another is removed, so that the
    next call fetches it again. The revision is a branch, tag or commit, None for the newest.
    """
    try:
        import huggingface_hub
    except ImportError as e:
        raise ImportError("fetching weights needs huggingface-hub: pip install 'cspkeras[timm]'") from e

    what = f"{filename} of {repository}" + (f" at {revision}" if revision else "")
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, filename, revision=revision))
        stated = _stated_sha256(path, repository, filename)
    except Exception as e:  # the libraries raise many kinds of errors for a network's faults
        reason = " ".join(str(e).split()) or type(e).__name__
        raise OSError(
            f"{what}: cannot be fetched from the Hugging Face Hub ({reason}); try again with a network, or pass the "
            "path of a copy as weights"
        ) from e
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != stated:
        for copy in {path, path.resolve()}:
            copy.unlink(missing_ok=True)
        raise OSError(
            f"{what}: damaged, expected sha256 {stated}, found {found}; removed, the next call fetches it anew"
        )
    return path


def _stated_sha256(path, repository, filename):
    """Return the sha256 that the Hub states: the cache names the file by it, and `path` links to that."""
    import huggingface_hub

    if path.is_symlink():
        stated = path.readlink().name
    else:  # on a file system without links the cache keeps only the commit's name
        url = huggingface_hub.hf_hub_url(repository, filename, revision=path.parent.name)
        stated = huggingface_hub.get_hf_file_metadata(url).etag
    if not re.fullmatch("[0-9a-f]{64}", stated or ""):
        raise ValueError(f"expected a sha256, the Hub states {stated!r}")
    return stated
