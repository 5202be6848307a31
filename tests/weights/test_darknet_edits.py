"""Cfgs as people edit them: read right, or one line that names the file, the line and what is wrong there."""

import pytest

from cspkeras import from_darknet

CFG = """[net]
# Training
batch=64
width=64
height=64
channels=3
saturation = 1.5
steps=400000,450000

[convolutional]
batch_normalize=1
filters=8
size=3
stride=32
pad=1
activation=leaky

[route]
layers = -1

[convolutional]
size=1
filters=255
activation=linear

[yolo]
mask = 3,4,5
anchors = 10,14,  23,27,  37,58,  81,82,  135,169,  344,319
classes=80
num=6

[route]
layers = -3

[upsample]
stride=2

[convolutional]
size=1
filters=4
activation=leaky
"""
GROUPED = CFG.replace("[route]\nlayers = -1\n", "[route]\nlayers = -1\ngroups=2\ngroup_id=1\n")
PYRAMID = (
    "[net]\nwidth={0}\nheight={0}\n" + "[maxpool]\nsize=2\nstride=2\n" * 3 + "[upsample]\n[route]\nlayers=-1,{1}\n"
)


def edited(*changes):
    """The cfg after some replacements of a text in it, each in one place."""
    text = CFG
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


RIGHT = {  # what is written, and the shape of the map that the [yolo] reads
    "as it is": (CFG.encode(), (2, 2, 255)),
    "a byte order mark and Windows' line ends": (CFG.replace("\n", "\r\n").encode("utf-8-sig"), (2, 2, 255)),
    "an old Mac's line ends": (CFG.replace("\n", "\r").encode(), (2, 2, 255)),
    "UTF-16": (CFG.encode("utf-16"), (2, 2, 255)),
    "UTF-16, the high byte first": (b"\xfe\xff" + CFG.encode("utf-16-be"), (2, 2, 255)),
    "Latin-1 in a comment": (CFG.replace("Training", "Größe").encode("latin-1"), (2, 2, 255)),
    "a comment after a value": (edited(("filters=8", "filters=8 # 16")).encode(), (2, 2, 255)),
    "a comment after a heading": (edited(("[upsample]", "[upsample]  ; twice")).encode(), (2, 2, 255)),
    "spaces in lists": (edited(("3,4,5", "3 , 4 , 5"), ("-3", " -3 ")).encode(), (2, 2, 255)),
    "another name of swish": (
        edited(("1\nactivation=leaky\n\n[route]", "1\nactivation=silu\n\n[route]")).encode(),
        (2, 2, 255),
    ),
    "half of the channels": (GROUPED.encode(), (2, 2, 255)),
    "one channel": (edited(("channels=3", "channels=1")).encode(), (2, 2, 255)),
    "not a square": (edited(("width=64", "width=128")).encode(), (2, 4, 255)),
    "no line end after the last line": (CFG.rstrip().encode(), (2, 2, 255)),
}
WRONG = {  # what is written, and the message after the file's name
    "empty": ("", ": holds nothing, expected a Darknet cfg"),
    "only [net]": (CFG.partition("\n\n")[0], ": holds no layers after [net], expected a Darknet cfg"),
    "no [net]": (CFG.partition("\n\n")[2], ", line 1, [convolutional]: a cfg begins with [net]"),
    "binary": ("\0\1\2\3" * 99, ", line 1: expected [net]. Received: '\\x00\\x01\\x02..."),
    "a stray line": (
        edited(("[upsample]", "from yolov4\n[upsample]")),
        ", line 35: expected [section] or option=value. Received: 'from yolov4'",
    ),
    "no value": (
        edited(("pad=1", "pad=")),
        ", line 15, [convolutional]: expected integers from 0 to 65536. Received: pad=''",
    ),
    "a float": (
        edited(("filters=8", "filters=8.0")),
        ", line 12, [convolutional]: expected integers from 1 to 65536. Received: filters='8.0'",
    ),
    "a comma at the end": (
        edited(("3,4,5", "3,4,5,")),
        ", line 27, [yolo]: expected integers from 0 to 65536. Received: mask='3,4,5,'",
    ),
    "an unknown activation": (
        edited(("1\nactivation=leaky\n\n[route]", "1\nactivation=gelu\n\n[route]")),
        ", line 16, [convolutional]: activation must be one of linear, leaky, ",
    ),
    "classes changed, filters not": (
        edited(("classes=80", "classes=3")),
        ", line 26, [yolo]: 3 anchors of 3 classes take 24 channels. Received: 255",
    ),
    "a layer that comes later": (
        edited(("layers = -1", "layers = -1,200")),
        ", line 19, [route]: layer 200 does not exist; layers 0 to 0 come before this one. Received: layers=200",
    ),
    "no width": (
        edited(("width=64", "width=0")),
        ", line 4, [net]: expected integers from 1 to 65536. Received: width='0'",
    ),
    "too large": (
        edited(("width=64", "width=60000"), ("height=64", "height=60000")),
        ", line 1, [net]: the feature map 60000x60000x3 is too large",
    ),
    "no multiple of 32": (
        PYRAMID.format(100, 1),
        ", line 15, [route]: the layers' maps must be of one size. Received: 26x26x3, 25x25x3; [net] has 100x100 "
        "pixels, and most networks take multiples of 32",
    ),
    "maps of two sizes": (
        PYRAMID.format(64, 0),
        ", line 15, [route]: the layers' maps must be of one size. Received: 16x16x3, 32x32x3",
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_read_right(name, tmp_path):
    content, (height, width, channels) = RIGHT[name]
    path = tmp_path / "net.cfg"
    path.write_bytes(content)
    assert from_darknet(path).output_shape == (None, height, width, channels)


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name, tmp_path):
    content, message = WRONG[name]
    path = tmp_path / "net.cfg"
    path.write_text(content)
    with pytest.raises(ValueError) as raised:
        from_darknet(path)
    said = str(raised.value)
    assert said.startswith(f"{path}{message}") and len(said.splitlines()) == 1
    assert ("multiples of 32" in said) == (name == "no multiple of 32")
