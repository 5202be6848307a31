"""`cspkeras data show`: the sheet, and its errors in one line."""

import argparse

import numpy as np
import pytest
from PIL import Image

from cspkeras.commands.data import show as show_command
from cspkeras.training import ClassificationData, LabelledImage
from cspkeras.training.pipeline.preview import GAP


@pytest.fixture
def show():
    """A function that runs the sub-command with these arguments."""
    parser = argparse.ArgumentParser()
    show_command.add(parser.add_subparsers())

    def run(*arguments):
        options = parser.parse_args(["show", *map(str, arguments)])
        options.run(options)

    return run


def classes(*_, **__):
    examples = [LabelledImage(np.full((40, 40, 3), 60 * k, "uint8"), k % 2) for k in range(4)]
    return ClassificationData(examples, ("cat", "dog"))


def cells(path, side, columns, rows):
    sheet = np.asarray(Image.open(path))
    step = side + GAP
    assert sheet.shape == (rows * step + GAP, columns * step + GAP, 3)
    return [
        sheet[r * step + GAP : (r + 1) * step, c * step + GAP : (c + 1) * step]
        for r in range(rows)
        for c in range(columns)
    ]


def test_a_sheet_of_detection_data(make_voc, show, tmp_path, capsys):
    path = tmp_path / "new" / "sheet.png"
    plain = ("--mosaic", 0, "--crop", 0, "--flip", 0, "--color", 0)
    show(make_voc(train=6), "--output", path, "--size", 96, "--count", 8, *plain)
    assert capsys.readouterr().out.strip() == str(path)
    shown = cells(path, 96, 3, 3)
    for cell in shown[:8]:
        for color in (220, 50, 30), (30, 200, 60), (40, 60, 220):
            assert (np.abs(cell.astype(int) - color).max(axis=-1) < 30).sum() > 100
        assert (cell > 200).all(axis=-1).sum() > 20  # names
    assert (shown[8] == 255).all()


def test_a_sheet_of_classification_data(show, tmp_path, monkeypatch):
    monkeypatch.setattr(show_command, "read_data", classes)
    path = tmp_path / "sheet.jpg"
    show(tmp_path, "--output", path, "--size", 64, "--count", 4, "--cutmix", 1, "--rescale", 64, 64)
    assert len(cells(path, 64, 2, 2)) == 4


@pytest.mark.parametrize(
    "options, kind, message",
    (
        (("--cutmix", 0.5), "detection", "--cutmix: .* is detection data, which has no such option"),
        (("--label-smoothing", 0.1), "detection", "--label-smoothing: .* is detection data"),
        (("--color", 0.5), "classification", "--color: .* is classification data, which has no such option"),
        (("--mosaic", 2), "detection", "mosaic must be a probability, from 0 to 1. Received: mosaic=2.0"),
    ),
)
def test_options_that_do_not_fit(make_voc, show, tmp_path, monkeypatch, options, kind, message):
    if kind == "classification":
        monkeypatch.setattr(show_command, "read_data", classes)
    with pytest.raises(ValueError, match=message):
        show(make_voc(), "--output", tmp_path / "sheet.png", *options)
    assert not (tmp_path / "sheet.png").exists()
