"""Contact sheets: each image in its place, with its boxes."""

import numpy as np
import pytest
from PIL import Image
from soft_images import soft_parts

from cspkeras.training import read
from cspkeras.training.data.contact_sheet import GAP, LINE, SIDE, write_contact_sheet


@pytest.fixture
def parts(tmp_path):
    return soft_parts(tmp_path)


def test_a_contact_sheet(parts, tmp_path, make_voc):
    voc = read(make_voc(train=2), "train")
    (tmp_path / "val/0.png").write_bytes(b"nonsense")
    sheet = Image.open(write_contact_sheet(tmp_path / "out/sheet.png", {"voc": voc, **parts}, 9))
    assert sheet.size == (GAP + 6 * (SIDE + GAP), GAP + 2 * (SIDE + LINE + GAP)) and sheet.format == "PNG"
    pixels = np.asarray(sheet)
    scale, top = SIDE / 64, GAP + SIDE - 180  # 64 x 48 pixels as 240 x 180, at the frame's foot
    for box, label in zip(voc.examples[0].boxes, voc.examples[0].labels, strict=True):
        x, y = (box[:2] + box[2:]) / 2 * scale
        inside = pixels[int(top + y), int(GAP + x)]
        np.testing.assert_allclose(inside, voc.examples[0].pixels()[tuple(int(v / scale) for v in (y, x))], atol=2)
        edge = pixels[int(top + round(box[3] * scale)) - 1, int(GAP + x)]
        assert abs(edge.astype(int) - inside).max() > 30, label
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/sheet.png"]
