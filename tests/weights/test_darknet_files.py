"""Odd and faulty cfgs and .weights files."""

import struct

import keras
import numpy as np
import pytest
from numpy_darknet import CLASSIFIER, cfg_text, conv, save

from cspkeras import from_darknet

# ---- the text of a cfg


def test_comments_blanks_and_windows_line_ends_mean_nothing(tmp_path):
    cfg, weights, image, outputs = save(tmp_path, CLASSIFIER)
    text = (
        cfg.read_text()
        .replace("]\n", "]  # of one kind\n")
        .replace("=", " \t= ")
        .replace("\n[", "\n\n; no\n  #[x]\n [ ")
    )
    cfg.write_bytes(b"\xef\xbb\xbf# Caf\xe9\n" + text.replace("\n", "\r\n").encode())
    np.testing.assert_allclose(from_darknet(cfg, weights)(image), outputs[5].reshape(1, 5), rtol=1e-4)


def test_of_an_option_given_twice_the_first_counts(tmp_path):
    cfg = tmp_path / "net.cfg"
    cfg.write_text("[net]\nheight=8\nwidth=8\nheight=9\n[convolutional]\nfilters=3\nfilters=4\n")
    assert from_darknet(cfg).output_shape == (None, 8, 8, 3)


NET = "[net]\nheight=8\nwidth=8\n"
CONV = "[convolutional]\nfilters=4\nactivation=leaky\n"
FAULTS = [
    ("", r"net.cfg: holds nothing, expected a Darknet cfg$"),
    ("# nothing\n\n", r"net.cfg: holds nothing"),
    (NET, r"net.cfg: holds no layers after \[net\]"),
    (CONV + NET, r"net.cfg, line 1, \[convolutional\]: a cfg begins with \[net\]"),
    ("width=8\n" + NET, r"net.cfg, line 1: expected \[net\]\. Received: 'width=8'"),
    ("\x00\x9f\x92\x96" * 999, r"net.cfg, line 1: expected \[net\]\. Received: '\\x00.{,40}$"),
    (NET + CONV + "stride 2\n", r"line 7: expected \[section\] or option=value\. Received: 'stride 2'"),
    (NET + "[convolutional\n", r"line 4: expected .* Received: '\[convolutional'"),
    ("[net]\nwidth=8\n" + CONV, r"line 1, \[net\]: the option height= is missing"),
    ("[net]\nwidth=8\nheight=0\n" + CONV, r"line 3, \[net\]: expected integers from 1 .* Received: height='0'"),
    ("[net]\nwidth=8\nheight=99999999999\n" + CONV, r"line 3, \[net\]: .*65536.* Received: height='99999999999'"),
    ("[net]\nwidth=60000\nheight=60000\n" + CONV, r"line 1, \[net\]: the feature map 60000x60000x3 is too large"),
    (NET + CONV + "[Convolutional]\n", r"line 7, \[Convolutional\]: the section is unknown; known are \[avg\], "),
    (NET + CONV + "[net]\n", r"line 7, \[net\]: the section is unknown"),
    (NET + "[convolutional]\nsize=3\n", r"line 4, \[convolutional\]: the option filters= is missing"),
    (NET + CONV + "size=3x\n", r"line 7, \[convolutional\]: expected integers .* Received: size='3x'"),
    (NET + CONV + "size=\n", r"line 7, \[convolutional\]: expected integers .* Received: size=''"),
    (NET + CONV + "size=3,3\n", r"line 7, \[convolutional\]: expected one integer\. Received: size='3,3'"),
    (NET + CONV + "size=-3\n", r"line 7, .* from 1 to 255\. Received: size='-3'"),
    (NET + CONV + "size=9\n", r"line 7, .*: size=9 does not fit a map of 8x8 padded by 0"),
    (NET + CONV + "size=" + "9" * 9999, r"line 7, .* Received: size='99999.{,40}$"),
    (NET + CONV + "groups=3\n", r"line 7, .*: groups must divide 3 channels, 4 filters\. Received: groups=3"),
    (NET + CONV + "antialiasing=1\n", r"line 7, .*: the option is supported only as 0\. Received: antialiasing='1'"),
    (NET + CONV + "stride=2\ndilation=2\n", r"line 8, .*: the option is supported only as 1.* dilation='2'"),
    (NET + CONV + "share_index=0\n", r"line 7, .*: the option is not supported\. Received: share_index='0'"),
    (NET + CONV + "size=4096\npad=1\n", r"line 7, .* from 1 to 255\. Received: size='4096'"),
    (
        NET + CONV.replace("4", "50000") * 2,
        r"line 7, .*: 2,500,550,000 weights; at most 200,000,000 are accepted, set CSPKERAS_MAX_WEIGHTS",
    ),
    (NET + "[connected]\noutput=65536\n" * 2, r"line 6, \[connected\]: 4,308,074,496 weights"),
    (NET + CONV.replace("leaky", "lekay"), r"line 6, .* one of linear, leaky, .* Received: activation='lekay'"),
    (NET + CONV + "[route]\nlayers=-1,7\n", r"line 8, \[route\]: layer 7 does not exist; layers 0 to 0 .* layers=7"),
    (NET + CONV + "[route]\nlayers=-2\n", r"line 8, \[route\]: layer -1 does not exist; .* Received: layers=-2"),
    (NET + CONV + "[route]\nlayers=1\n", r"line 8, \[route\]: layer 1 does not exist"),
    (NET + "[route]\nlayers=-1\n", r"line 5, \[route\]: layer -1 does not exist; no layers come before this one"),
    (NET + CONV + "[route]\n", r"line 7, \[route\]: the option layers= is missing"),
    (NET + CONV + "[route]\nlayers=-1,\n", r"line 8, \[route\]: expected integers .* Received: layers='-1,'"),
    (
        NET + CONV + "[route]\nlayers=0\ngroups=3",
        r"line 9, .*: groups must divide .* 8x8x4\. Received: groups=3",
    ),
    (NET + CONV + "[route]\nlayers=0\ngroups=2\ngroup_id=2", r"line 10, .* from 0 to 1\. Received: group_id='2'"),
    (
        NET + CONV + "[maxpool]\nsize=2\nstride=2\n[route]\nlayers=0,1\n",
        r"line 11, .* of one size\. Received: 8x8x4, 4x4x4",
    ),
    (NET + CONV + "[shortcut]\nfrom=-2\n", r"line 8, \[shortcut\]: layer -1 does not exist; .* Received: from=-2"),
    (NET + CONV + "[shortcut]\nfrom=0,0\n", r"line 8, \[shortcut\]: expected one integer"),
    (NET + CONV + "[shortcut]\n", r"line 7, \[shortcut\]: the option from= is missing"),
    (
        NET + CONV + "[upsample]\n[shortcut]\nfrom=0\n",
        r"line 9, \[shortcut\]: .* stride smaller. Received: 8x8x4, 16x16x4",
    ),
    (NET + CONV + "[maxpool]\nsize=3\npadding=1\n", r"line 9, .*: padding must be 0 or size - 1.* padding=1, size=3"),
    (
        NET + CONV + "[maxpool]\nmaxpool_depth=1\nout_channels=3\n",
        r"line 9, .*: out_channels must divide 4\. Received: out_channels=3",
    ),
    (NET + CONV + "[upsample]\nstride=60000\n", r"line 7, \[upsample\]: the feature map 480000x480000x4 is too large"),
    (
        NET + CONV + "[reorg]\nstride=4\n",
        r"line 7, \[reorg\]: stride=4 must divide the sides of a map 8x8x4, its square",
    ),
    (NET + CONV + "[reorg]\nreverse=1\n", r"line 8, \[reorg\]: the option is supported only as 0.* reverse='1'"),
    (NET + CONV + "[region]\nclasses=1\ncoords=5\n", r"line 9, \[region\]: .* supported only as 4.* coords='5'"),
    (NET + CONV + "[region]\nclasses=1\nnum=2\n", r"line 7, \[region\]: 2 anchors of 1 .* 12 channels.* Received: 4"),
    (NET + CONV + "[upsample]\nstride=-2\n", r"line 8, \[upsample\]: expected integers from 1 .* stride='-2'"),
    (NET + CONV + CONV.replace("4", "3") + "[sam]\nfrom=0\n", r"line 11, \[sam\]: .* Received: 8x8x3, 8x8x4"),
    (NET + CONV + "[scale_channels]\nfrom=0\n", r"line 8, .* a 1x1 map .* Received: 8x8x4, 8x8x4"),
    (NET + CONV + "[dropout]\nprobability=half\n", r"line 8, .* from 0 to 1\. Received: probability='half'"),
    (NET + CONV + "[softmax]\n", r"line 7, \[softmax\]: expected a map of 1x1, .* Received: 8x8x4"),
    (NET + CONV + "[yolo]\nclasses=80\nmask=0,1,2\n", r"line 7, \[yolo\]: 3 anchors of 80 .* 255 .* Received: 4"),
    (NET + CONV.replace("4", "6") + "[yolo]\nclasses=1\n" + CONV, r"line 9, .*: layer 1 ends in the network's output"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_faulty_cfg_is_an_error_that_says_where(tmp_path, text, message):
    path = tmp_path / "net.cfg"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        from_darknet(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("missing", ["cfg", "weights"])
def test_a_missing_file_is_named(tmp_path, missing):
    cfg, weights, *_ = save(tmp_path, CLASSIFIER)
    (tmp_path / f"net.{missing}").unlink()
    with pytest.raises(FileNotFoundError, match=f"net.{missing}"):
        from_darknet(cfg, weights)


# ---- the bytes of a .weights file


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<3iQ", 0, 2, 5, 32_013_312),
        struct.pack("<3iQ", 0, 2, 0, 1 << 40),
        struct.pack("<3iQ", 1, 0, 0, 7),
        struct.pack("<4i", 0, 1, 0, 7),
    ],
)
def test_headers(tmp_path, header):
    cfg, weights, image, outputs = save(tmp_path, CLASSIFIER)
    weights.write_bytes(header + weights.read_bytes()[20:])
    np.testing.assert_allclose(from_darknet(cfg, weights)(image), outputs[5].reshape(1, 5), rtol=1e-4)


def test_old_files_hold_connected_layers_transposed(tmp_path):
    cfg, weights, image, outputs = save(tmp_path, [("connected", dict(output=5, activation="linear"))])
    bias, kernel = np.split(np.frombuffer(weights.read_bytes()[20:], "<f4"), [5])
    old = [struct.pack("<4i", 1001, 0, 0, 7), bias.tobytes(), kernel.reshape(5, -1).T.tobytes()]
    weights.write_bytes(b"".join(old))
    np.testing.assert_allclose(from_darknet(cfg, weights)(image), outputs[0], rtol=1e-4, atol=1e-5)


def test_the_first_layers_weights(tmp_path):
    cfg, weights, image, outputs = save(tmp_path, CLASSIFIER)
    first = tmp_path / "net.conv.4"
    first.write_bytes(weights.read_bytes()[: 20 + 4 * (8 * 31 + 8 * 40)])
    keras.utils.set_random_seed(0)
    model, fresh = from_darknet(cfg, first), from_darknet(cfg)
    body = keras.Model(model.input, model.get_layer("layer3_pool").output)
    np.testing.assert_allclose(body(image), outputs[3], rtol=1e-4, atol=1e-5)
    assert not model.get_layer("layer4_conv").get_weights()[1].any(), "the bias of layer 4 is no longer zero"
    assert fresh.count_params() == model.count_params()


LAST = r"layer 4 \(\[convolutional\] in line 27 of .*net.cfg\)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", r"net.weights: not a Darknet .weights file: 0 bytes"),
        (lambda data: data[:17], r"net.weights: not a Darknet .weights file: it ends in its header"),
        (
            lambda data: data[:20],
            r"ends in layer 0 \(\[convolutional\] in line 6 .*: expected 248 floats, found 0 \(the n",
        ),
        (lambda data: data[:-4], rf"ends in {LAST}: expected 45 floats, found 44 .* takes 613 .* holds 612\)"),
        (lambda data: data[:-3], rf"ends in {LAST}: expected 45 floats, found 44.25 .* takes 613 .* holds 612.25\)"),
        (lambda data: data[: 20 + 4 * 300], r"ends in layer 1 \(.* line 14 .*: expected 320 floats, found 52 "),
        (lambda data: data + b"\0", rf"continues after {LAST}: expected 0 floats, found 0.25 "),
        (
            lambda data: data + data,
            rf"continues after {LAST}: expected 0 floats, found 618 .* takes 613 .* holds 1,231\)",
        ),
        (lambda data: data[:20] + data[148:] + data[20:], r"not this network's weights: in layer 0 .* 248 floats"),
    ],
)
def test_faulty_weights_are_an_error_that_says_where(tmp_path, change, message):
    cfg, weights, *_ = save(tmp_path, CLASSIFIER)
    weights.write_bytes(change(weights.read_bytes()))
    with pytest.raises(ValueError, match=message) as error:
        from_darknet(cfg, weights)
    assert len(str(error.value).splitlines()) == 1


def test_weights_for_another_number_of_classes(tmp_path):
    _, weights, *_ = save(tmp_path, CLASSIFIER)
    cfg = tmp_path / "other.cfg"
    cfg.write_text(cfg_text([*CLASSIFIER[:4], conv(7), *CLASSIFIER[5:]], 8, 8))
    with pytest.raises(ValueError, match=r"ends in layer 4 .* expected 63 floats, found 45 "):
        from_darknet(cfg, weights)


def test_first_layers_that_the_cfg_does_not_have(tmp_path):
    cfg, weights, *_ = save(tmp_path, CLASSIFIER)
    with pytest.raises(ValueError, match=r"net.conv.8: by its name it holds 8 layers. .*net.cfg has 7"):
        from_darknet(cfg, weights.rename(tmp_path / "net.conv.8"))
