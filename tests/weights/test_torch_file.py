"""PyTorch's files: what they hold, and that nothing in them is run."""

import io
import pickle
import runpy
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from torch_files import NUMBERS, call, mapping, name, plain, storage, tensor, write_legacy, write_zip

from cspkeras.weights import torch_pickle
from cspkeras.weights.torch_file import read_state, read_torch
from cspkeras.weights.torch_pickle import Inert

BOTH = pytest.mark.parametrize("write", [write_zip, write_legacy], ids=["zip", "legacy"])
EXPECTED = np.arange(6, dtype="float32").reshape(2, 3)


def zipfile_of(member, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, content)
    return file.getvalue()


def refused(path, message):
    """Check that reading is an error of one line, and takes no memory to speak of."""
    tracemalloc.start()
    with pytest.raises(ValueError, match=message) as caught:
        read_torch(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ") and len(str(caught.value).splitlines()) == 1
    assert peak < 20e6


@pytest.mark.parametrize("legacy", [False, True])
def test_a_checkpoint_as_pytorch_writes_it(test_data, tmp_path, legacy):
    write = runpy.run_path(str(test_data / "goldens" / "torch_file.py"))["write"]
    rng = np.random.default_rng(0)
    kinds = ("float32", "float16", "float64", "int64")
    state = {kind: rng.normal(size=(2, 3, 4)).astype(kind) for kind in kinds} | {"none": np.zeros((0, 3), "float32")}
    meta = {"epoch": 300, "dataset_meta": {"CLASSES": ("a", "b")}, "rate": 0.5, "done": True, "note": None}
    write(tmp_path / "x.pth", {"meta": meta, "state_dict": state, "list": [1, -(2**40)]}, legacy=legacy)
    found = read_torch(tmp_path / "x.pth")
    assert found.keys() == {"meta", "state_dict", "list"} and found["meta"] == meta and found["list"] == [1, -(2**40)]
    for kind, array in state.items():
        assert found["state_dict"][kind].dtype == array.dtype
        np.testing.assert_array_equal(found["state_dict"][kind], array)


TENSORS = {
    "contiguous": (tensor(), EXPECTED),
    "transposed": (tensor((3, 2), (1, 3)), EXPECTED.T),
    "every other": (tensor((3,), (2,), 1), [1, 3, 5]),
    "a number": (tensor((), (), 4), 4),
    "expanded": (tensor((4,), (0,), 2), [2, 2, 2, 2]),
    "parameter": (call("torch._utils._rebuild_parameter", tensor(), plain(True), plain({})), EXPECTED),
    "without requires_grad": (
        call("torch._utils._rebuild_tensor", storage(), plain(0), plain((6,)), plain((1,))),
        range(6),
    ),
    "with attributes": (
        call(
            "torch._tensor._rebuild_from_type_v2",
            name("torch._utils._rebuild_tensor"),
            name("torch.Tensor"),
            b"(" + storage() + plain(0) + plain((6,)) + plain((1,)) + b"t",
            plain({}),
        ),
        range(6),
    ),
}


@BOTH
@pytest.mark.parametrize("kind", TENSORS)
def test_tensors_are_views_of_their_storage(tmp_path, write, kind):
    program, expected = TENSORS[kind]
    found = read_torch(write(tmp_path / "x.pth", mapping(a=program, b=tensor())))
    np.testing.assert_array_equal(found["a"], expected)
    np.testing.assert_array_equal(found["b"], EXPECTED)
    assert found["a"].dtype == np.float32 and not found["a"].flags.owndata


@BOTH
def test_bfloat16_becomes_float32(tmp_path, write):
    halves = np.float32([1, -2.5, 0]).view("uint32") >> 16
    content = halves.astype("<u2").tobytes()
    records = {"0": content} if write is write_zip else {"0": (3, content)}
    found = read_torch(write(tmp_path / "x.pth", tensor((3,), (1,), kind="torch.BFloat16Storage", count=3), records))
    assert found.dtype == np.float32 and found.tolist() == [1, -2.5, 0]


def test_a_big_endian_machines_zip(tmp_path):
    records = {"0": struct.pack(">6f", *range(6))}
    found = read_torch(write_zip(tmp_path / "x.pth", tensor(), records, [("x/byteorder", "big")]))
    np.testing.assert_array_equal(found, EXPECTED)


def test_an_older_files_view_of_a_storage(tmp_path):
    program = tensor((2,), (1,), view=(("1", 3, 2),))
    assert read_torch(write_legacy(tmp_path / "x.pth", program)).tolist() == [3, 4]
    refused(write_legacy(tmp_path / "x.pth", tensor((2,), (1,), view=(("1", 3, 4),))), "exceeds its storage of 6")


def test_what_a_training_logged_is_inert(tmp_path):
    history = name("mmengine.logging.history_buffer.HistoryBuffer") + b")\x81" + plain({"max_length": 9}) + b"b"
    mean = call("__builtin__.getattr", name("mmengine.logging.history_buffer.HistoryBuffer"), plain("mean"))
    code = call("_codecs.encode", plain("abc"), plain("latin1"))
    scalar = call("numpy.core.multiarray.scalar", call("numpy.dtype", plain("f8")), code)
    found = read_torch(write_zip(tmp_path / "x.pth", mapping(log=history, mean=mean, scalar=scalar, weight=tensor())))
    assert all(isinstance(found[key], Inert) for key in ("log", "mean", "scalar"))
    np.testing.assert_array_equal(found["weight"], EXPECTED)


def test_pickles_of_any_protocol(tmp_path):
    value = {"a": [1, 2.5, "ä", b"b", None, True, (), (1,), (1, 2, 3, 4)], "b": {"c": {}}, ("d", 1): {3, 4}, 5: 2**90}
    for protocol in (2, 4, 5):
        program = pickle.dumps(value, protocol)[2:-1]
        assert read_torch(write_zip(tmp_path / "x.pth", program)) == value


NAMES = ["os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "__builtin__.execfile"]
NAMES += ["builtins.__import__", "sys.modules", "importlib.import_module", "runpy.run_path", "shutil.rmtree"]
NAMES += ["commands.getoutput", "pty.spawn", "ctypes.CDLL", "pickle.loads", "webbrowser.open", "os.path.join"]


@BOTH
@pytest.mark.parametrize("full", NAMES)
def test_a_pickle_that_asks_for_pythons_functions_is_refused(tmp_path, write, full):
    program = mapping(a=tensor(), b=call(full, plain(f"touch {tmp_path}/run")))
    refused(write(tmp_path / "x.pth", program), f"asks for {full}, which no weights need; nothing was run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("full", ["torch.hub.load", "numpy.load", "some.package.system", "functools.partial"])
def test_a_stand_in_runs_nothing(tmp_path, full):
    (tmp_path / "some").mkdir()
    program = call(full, plain("touch x")) + plain({"a": 1}) + b"b" + plain("key") + plain("value") + b"s"
    assert read_torch(write_zip(tmp_path / "x.pth", mapping(a=program)))["a"].name == full


HOSTILE = {
    "attribute of a number": (call("builtins.getattr", plain(3), plain("real")), "calls builtins.getattr of a int"),
    "call of a string": (plain("abc") + b")R", "calls a str"),
    "call of a tensor": (tensor() + b")R", "calls a ndarray"),
    "attributes of a tensor": (tensor() + plain({}) + b"b", "sets attributes of a ndarray"),
    "items of a list": (b"]" + plain(1) + plain(1) + b"s", "fills a list as a dict"),
    "instance": (b"(ios\nsystem\n", "instruction INST, which PyTorch doesn't write"),
    "extension": (b"\x82\x01", "instruction EXT1"),
    "no tuple": (name("torch.Size") + plain(3) + b"R", "not a whole file"),
    "text copied": (
        plain("a" * 1000) + b"q\7" + (name("_codecs.encode") + b"h\7" + plain("latin1") + b"\x86R") * 50,
        "copies what it holds again and again",
    ),
    "lists copied": (b"](" + b"N" * 999 + b"eq\0" + (name("torch.Size") + b"h\0\x85R") * 50, "again and again"),
    "calls of calls": (name("x.y") + b")R" * 5_000 + b"R", "not a whole file"),
    "long name": (plain("a" * 999) + plain("b") + b"\x93", "asks for something without a name"),
    "long key": (b"}(" + b"N" * 999 + b"tNs", "has a key of the type tuple"),
    "other encoding": (call("_codecs.encode", plain("abc"), plain("rot13")), "encodes other than bytes"),
    "empty stack": (b"R", r"not a whole file of PyTorch's \(the stack is empty"),
    "no such memo": (b"h\x07", "not a whole file"),
    "far memo": (plain(1) + b"r\xff\xff\xff\xff" + b"j\xff\xff\xff\xfe", "not a whole file"),
    "long string": (b"\x8d" + struct.pack("<Q", 2**40), "not a whole file"),
    "long integer": (b"\x8b" + struct.pack("<i", 2**31 - 1), "not a whole file"),
    "deep key": (b")" + b"\x85" * 20_000 + b"q\0}h\0K\1s", "has a key of the type tuple"),
    "deep list": (b"]" * 5_000 + b"a" * 4_999 + b"]R", "not a whole file|calls a list"),
    "name of a list": (b"]" + plain("x") + b"\x93", "asks for something without a name"),
    "long tensor": (tensor((7,), (1,)), r"of the shape \(7,\) exceeds its storage of 6"),
    "far tensor": (tensor((2,), (1,), 5), r"of the shape \(2,\) exceeds"),
    "wide strides": (tensor((2, 2), (5, 1)), "exceeds its storage"),
    "tensor before": (tensor((2,), (1,), -1), "are not whole numbers"),
    "negative stride": (tensor((2,), (-1,), 3), "are not whole numbers"),
    "expanded far": (tensor((2**20, 2**20), (0, 0)), "exceeds its storage"),
    "strings for sizes": (tensor(("a" * 1000, 2**40), (0, 0)), "are not whole numbers"),
    "dimensions": (tensor((1,) * 99, (0,) * 99), "or too many"),
    "fewer strides": (tensor((2, 3), (1,)), "not a whole file"),
    "long storage": (tensor(count=2**50), "storage '0' has "),
    "no such storage": (tensor(key="9"), "storage '9' has 0 bytes|not a whole file"),
    "key of a storage": (tensor(key=("a",)), "a storage has no name"),
    "length of a storage": (tensor(count="9"), "a storage has no name or no length"),
    "type of a storage": (
        tensor(kind="torch.QInt8Storage"),
        "is of the type torch.QInt8Storage; expected",
    ),
    "no storage": (call("torch._utils._rebuild_tensor_v2", *map(plain, (1, 0, (), ()))), "has a int for its storage"),
    "maker of a tensor": (
        call("torch._tensor._rebuild_from_type_v2", name("x.y"), name("x.y"), plain(()), plain({})),
        "is made by a x.y",
    ),
}


@BOTH
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_pytorch_does_not_write_is_refused(tmp_path, write, kind):
    program, message = HOSTILE[kind]
    refused(write(tmp_path / "x.pth", program), message)


def test_a_program_is_not_endless(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_pickle, "LIMIT", 100)
    refused(write_zip(tmp_path / "x.pth", b"N" * 100), "has more than 100 instructions")


ARCHIVES = {
    "bomb": (
        dict(records={"0": bytes(3 * 10**7)}, compression=zipfile.ZIP_DEFLATED),
        "longer than the file: compressed",
    ),
    "compressed": (dict(more=[("x/a", "ab")], compression=zipfile.ZIP_BZIP2), r"member 'x/data.pkl' .* is compressed"),
    "outside": (dict(more=[("y/data/0", "")]), "member 'y/data/0' of its archive is outside of 'x/'"),
    "above": (dict(more=[("x/../../evil", "")]), "member 'x/../../evil' of its archive is outside of"),
    "root": (dict(more=[("/etc/passwd", "")]), "member '/etc/passwd' of its archive is outside of"),
    "program": (dict(more=[("x/constants.pkl", "")]), "is a TorchScript program"),
    "byte order": (dict(more=[("x/byteorder", "middle")]), "not a whole file"),
    "short": (dict(records={"0": NUMBERS[:-1]}), "storage '0' has 23 bytes; expected 6 of float32"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_an_archive_that_pytorch_does_not_write_is_refused(tmp_path, kind):
    options, message = ARCHIVES[kind]
    refused(write_zip(tmp_path / "x.pth", tensor(), **options), message)


def test_members_within_one_another_are_refused(tmp_path):
    path = write_zip(tmp_path / "x.pth", tensor(), {"0": bytes(10**6), "1": b""})
    content = bytearray(path.read_bytes())
    entries = [content.rindex(f"x/data/{key}".encode()) - 46 for key in "01"]
    content[entries[1] + 16 : entries[1] + 28] = content[entries[0] + 16 : entries[0] + 28]  # sum and lengths
    content[entries[1] + 42 : entries[1] + 46] = content[entries[0] + 42 : entries[0] + 46]  # place
    path.write_bytes(content)
    refused(path, "longer than the file: compressed, or one within another")


def test_a_changed_byte_of_an_archive_is_found(tmp_path):
    path = write_zip(tmp_path / "x.pth", tensor())
    content = path.read_bytes()
    path.write_bytes(content.replace(NUMBERS, bytes(24)))
    refused(path, "the member 'x/data/0' of its archive is damaged")


LEGACY = {
    "other count": (dict(records={"0": (5, NUMBERS)}), "storage '0' has 5 numbers; expected 6"),
    "long count": (dict(records={"0": (-1, NUMBERS)}), "storage '0' has 18,446,744,073,709,551,615 numbers"),
    "short": (dict(records={"0": (6, NUMBERS[:-1])}), "ends within storage '0'"),
    "missing": (dict(keys=[]), "storage '0' is missing"),
    "unknown": (dict(keys=["7"]), "not a whole file"),
}


@pytest.mark.parametrize("kind", LEGACY)
def test_storages_that_contradict_the_pickle_are_refused(tmp_path, kind):
    options, message = LEGACY[kind]
    refused(write_legacy(tmp_path / "x.pth", tensor(), **options), message)


def test_two_lengths_of_a_storage_are_refused(tmp_path):
    program = mapping(a=tensor(), b=tensor((1,), (1,), count=1))
    refused(write_legacy(tmp_path / "x.pth", program), "storage '0' has two types or lengths")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole file of PyTorch's"),
        (b"<!DOCTYPE html><title>Sign in</title>", "not weights, but a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not weights, but a git-lfs pointer"),
        (b"weights", "not a file of PyTorch's: neither a zip archive nor its magic number"),
        (pickle.dumps(7, 2), "nor its magic number"),
        (zipfile_of("a.pth", b"x"), "is a zip archive without PyTorch's data.pkl; if a .pth file is in it, unpack it"),
        (b"PK\3\4 and no more", "not a whole file of PyTorch's .*zip"),
    ],
)
def test_what_is_no_file_of_pytorchs_is_told(tmp_path, content, message):
    (tmp_path / "x.pth").write_bytes(content)
    refused(tmp_path / "x.pth", message)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="x.pth: missing; expected a .pth file"):
        read_torch(tmp_path / "x.pth")


@BOTH
def test_a_truncated_file_is_an_error(tmp_path, write):
    content = write(tmp_path / "x.pth", mapping(a=tensor())).read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "y.pth").write_bytes(content[:length])
        with pytest.raises(ValueError, match="y.pth: ") as caught:
            read_torch(tmp_path / "y.pth")
        assert len(str(caught.value).splitlines()) == 1


def test_weights_by_name(tmp_path):
    weights = {"module.a.weight": tensor(), "b": tensor(), "module.a.num_batches_tracked": tensor(), "c": plain(3)}
    for program in (mapping(state_dict=mapping(**weights), epoch=plain(3)), mapping(**weights)):
        found = read_state(write_zip(tmp_path / "x.pth", program), "state_dict")
        assert list(found) == ["a.weight", "b"]
        np.testing.assert_array_equal(found["b"], EXPECTED)


@pytest.mark.parametrize(
    ("program", "found"),
    [
        (mapping(model=name("models.yolo.Model") + b")\x81", epoch=plain(3)), "found: 'model', 'epoch'"),
        (name("models.yolo.Model") + b")\x81", "found: models.yolo.Model"),
        (plain([1]), "found: list"),
        (plain({}), "found: nothing"),
    ],
)
def test_a_file_without_weights_says_what_it_holds(tmp_path, program, found):
    with pytest.raises(ValueError, match=f"x.pth: holds no weights by name under 'state_dict'; {found}"):
        read_state(write_zip(tmp_path / "x.pth", program), "state_dict")
