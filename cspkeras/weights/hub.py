"""Published files from the Hugging Face Hub, in its own cache and never used unchecked."""

import hashlib
import re
from pathlib import Path


def fetch(repository, filename="model.safetensors", revision=None):
    """The path of a file of the Hub: from its cache, or else fetched into it.

    Args:
        repository: "owner/name".
        filename: of a file that the Hub knows the sha256 of, as it does of all large ones.
        revision: branch, tag or commit; None for the newest.

    Returns:
        The path in the cache of the huggingface-hub package, whose environment variables say where that is.

    Raises:
        ImportError: without huggingface-hub.
        OSError: where the file can't be had, or its sha256 is not the one that the Hub states. A file like that is
            removed, so that the next call fetches it again.
    """
    try:
        import huggingface_hub
    except ImportError as e:
        raise ImportError("fetching weights needs huggingface-hub: pip install 'cspkeras[timm]'") from e

    what = f"{filename} of {repository}" + (f" at {revision}" if revision else "")
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, filename, revision=revision))
        stated = _stated_sha256(path, repository, filename)
    except Exception as e:  # whatever the libraries below raise for a network's many faults
        reason = " ".join(str(e).split()) or type(e).__name__
        raise OSError(
            f"{what}: not to be had from the Hugging Face Hub ({reason}); try again with a network, or give the path "
            "of a copy as weights"
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
    """The sha256 that the Hub states: the cache calls a file by it and links to that from where `path` is."""
    import huggingface_hub

    if path.is_symlink():
        stated = path.readlink().name
    else:  # on a file system without links the cache keeps the commit's name alone
        url = huggingface_hub.hf_hub_url(repository, filename, revision=path.parent.name)
        stated = huggingface_hub.get_hf_file_metadata(url).etag
    if not re.fullmatch("[0-9a-f]{64}", stated or ""):
        raise ValueError(f"expected a sha256, the Hub states {stated!r}")
    return stated
