"""The notebook docs/tour.ipynb, every cell of it, at a small size."""

import os
from pathlib import Path

import pytest

TOUR = Path(__file__).parent.parent / "docs" / "tour.ipynb"


@pytest.mark.slow
def test_every_cell_of_the_tour_runs(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("CSPKERAS_TOUR", "small")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TOUR.parent.parent), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(TOUR, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # they would be of one machine, and large
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert len(notebook.cells) >= 20
    assert {"float16.tflite", "int8.tflite", "training"} <= {path.name for path in (tmp_path / "runs/tour").iterdir()}
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())}
    assert "image/png" in kinds
