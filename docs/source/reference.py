"""The reference's pages, written before each build: every public name by its docstring, a page for each group."""

import importlib
import inspect

from network_tables import family_title

from cspkeras.registry import NETWORKS

MODULES = (
    "cspkeras",
    "cspkeras.training",
    "cspkeras.tflite",
    "cspkeras.analysis",
    "cspkeras.cross_stage",
    "cspkeras.blocks",
    "cspkeras.detection.losses",
)
PARTS = {  # of `cspkeras.training`, by the folder that a name is defined in
    "data": "Training: data",
    "pipeline": "Training: batches",
    "recipes": "Training: recipes and runs",
    "run": "Training: recipes and runs",
    "evaluation": "Training: evaluation",
    "quantization": "Training: quantization",
}


def names(module):
    """Return a module's public names: those of `__all__`, or its own functions and classes."""
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return sorted(listed)
    return [name for name, value in vars(module).items() if name[0] != "_" and _is_own(module, value)]


def _is_own(module, value):
    kind = inspect.isfunction(value) or inspect.isclass(value)
    return kind and f"{value.__module__}.".startswith(f"{module.__name__}.")


def pages():
    """Return {title: [(module, name)]}, every public name once."""
    found = {}
    for module in map(importlib.import_module, MODULES):
        for name in names(module):
            found.setdefault(_title(module, name), []).append((module.__name__, name))
    return dict(sorted(found.items()))


def _title(module, name):
    if module.__name__ == "cspkeras" and name in NETWORKS:
        network = NETWORKS[name]
        return f"{network.kind.capitalize()}s: {family_title(network)}"
    if module.__name__ == "cspkeras.training":
        return PARTS[getattr(module, name).__module__.split(".")[2]]
    return module.__name__


def write_pages(folder):
    """Write a page for each group into `folder`, and remove those of groups that are no more."""
    folder.mkdir(exist_ok=True)
    texts = {_file_name(title): _page(title, members) for title, members in pages().items()}
    for path in folder.iterdir():
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:  # Sphinx reads again what has changed
            path.write_text(text, "utf-8")


def _file_name(title):
    words = "".join(one if one.isalnum() else " " for one in title.lower()).split()
    return f"{'_'.join(words)}.rst"


def _page(title, members):
    text = f"{title}\n{'=' * len(title)}\n"
    for module, name in members:
        kind = "class" if inspect.isclass(getattr(importlib.import_module(module), name)) else "function"
        options = "   :members:\n" if kind == "class" else ""
        text += f"\n.. currentmodule:: {module}\n\n.. auto{kind}:: {name}\n{options}"
    return text
