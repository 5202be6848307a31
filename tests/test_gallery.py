"""The notebooks of docs/gallery, every cell of them, at a small size."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GALLERY = ROOT / "docs/gallery"
FILES = {  # of each notebook's folder
    "classifier": {"training", "int8.tflite", "found.jpg"},
    "detector": {"training", "int8.tflite", "integers.tflite", "found.jpg"},
    "own_network": {"training", "cost.html", "int8.tflite", "found.jpg"},
}


def test_each_notebook_is_in_the_gallery():
    page = (GALLERY / "index.md").read_text()
    assert {path.stem for path in GALLERY.glob("*.ipynb")} == set(FILES)
    for name in FILES:
        assert f"({name}.ipynb)" in page


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_cell_runs(name, tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("CSPKERAS_NOTEBOOK", "small")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(GALLERY / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # they would be of one machine, and large
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert FILES[name] <= {path.name for path in (tmp_path / "runs/gallery" / name).iterdir()}
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())}
    assert "image/png" in kinds
