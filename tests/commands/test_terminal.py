"""What reaches the terminal: no control character of a name, one line for an error of any kind, Keras' bar as it is."""

import contextlib
import io
import json
import re
from types import SimpleNamespace

import keras
import pytest

from cspkeras.commands.main import main
from cspkeras.tflite.device.printing import LONGEST, Printable, one_line, printable

SHOWN = {
    "plain, Größe 犬 \t\n": "plain, Größe 犬 \t\n",
    "\x1b[31mred\x07": "\\x1b[31mred\\x07",
    "a\rb\x0bc\x7f": "a\\rb\\x0bc\\u007f",
    "\x85\x9b0m": "\\x85\\x9b0m",
    "\u202egnp.exe\u2066\u2069": "\\u202egnp.exe\\u2066\\u2069",
    "left\u200eright\u200f\u061c": "left\\u200eright\\u200f\\u061c",
    "a\udcff.jpg": "a\\udcff.jpg",
    "{} %s \\n": "{} %s \\n",
}


@pytest.mark.parametrize("text", SHOWN)
def test_control_characters_are_shown_as_python_writes_them(text):
    assert printable(text) == SHOWN[text]
    stream = io.StringIO()
    assert Printable(stream).write(text) == len(text)
    Printable(stream).writelines([text, text])
    assert stream.getvalue() == 3 * SHOWN[text]


def test_lines_for_people_are_cut_and_those_for_programs_are_not():
    line, stream = "cat " + "a" * 10**7 + " dog", io.StringIO()
    for short, longest in ((True, LONGEST), (False, len(line))):
        stream = io.StringIO()
        print(f"before\n{line}\nafter", file=Printable(stream, short=short))
        before, cut, after = stream.getvalue().splitlines()
        assert (before, after, cut[:4], cut[-4:]) == ("before", "after", "cat ", " dog") and len(cut) <= longest
    assert re.search(r"a \[\.\.\. 9,996,048 characters\] a", one_line(line)) and len(one_line(line)) <= LONGEST


def test_json_stays_json():
    text = json.dumps({"name": "".join(map(chr, range(0x2070))) + "\udcff"})
    assert json.loads(printable(text)) == json.loads(text)


def test_what_the_terminal_lacks_is_written_with_a_backslash():
    held = io.BytesIO()
    stream = Printable(io.TextIOWrapper(held, "ascii"))
    print("犬 é\x1b", file=stream, flush=True)
    assert held.getvalue() == b"\\u72ac \\xe9\\x1b\n" and stream.encoding == "ascii"
    assert not stream.isatty()


def test_the_rest_of_the_stream_is_that_of_the_terminal(tmp_path):
    with open(tmp_path / "out.txt", "w") as file:
        assert Printable(file).fileno() == file.fileno() and Printable(file).name == file.name


def bar_of(stream):
    """What Keras writes for three steps, one of which has a figure with a hostile name."""
    with contextlib.redirect_stdout(stream):
        bar = keras.utils.Progbar(3, interval=0)
        bar.start = bar._start = bar._last_update = 0
        for step in range(1, 4):
            bar.update(step, [("loss\x1b[8m", 1.0)])


def test_the_progress_bar_of_keras_is_as_it_was(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 9.0)
    raw, shown = io.StringIO(), io.StringIO()
    bar_of(raw)
    bar_of(Printable(shown))
    assert raw.getvalue().count("\r") == 3 and "\b" in raw.getvalue() and "\x1b[1m3/3\x1b[0m" in raw.getvalue()
    assert shown.getvalue() == raw.getvalue().replace("loss\x1b", "loss\\x1b")


@pytest.mark.parametrize(
    "text", ["\b\b\b\r3/7 [===>....] - ETA: 2s", "\r 50%|█████     | 1/2", "\b\r      7/Unknown 2s"]
)
def test_other_progress_bars(text):
    stream = io.StringIO()
    Printable(stream).write(text)
    assert stream.getvalue() == text


@pytest.mark.parametrize("text", ["\b\b\bname", "\x1b[1mname\x1b[0m", "\b\r\x1b[1mname", "a\r1/2"])
def test_a_name_that_is_no_progress_bar(text):
    stream = io.StringIO()
    Printable(stream).write(text)
    assert not {"\b", "\x1b"} & set(stream.getvalue()) and "\r" not in stream.getvalue()[1:]


@pytest.fixture
def failing(monkeypatch, one_error):
    """A function of an exception: what `cspkeras` says of it."""

    def run(error):
        def fails(_):
            raise error

        monkeypatch.setattr("cspkeras.commands.networks.models.run", fails)
        return one_error("models").removeprefix("cspkeras: ")

    return run


FAULT = "; this is a fault of cspkeras, --traceback shows where"
LESS = "; less is needed by a smaller batch, smaller images or a smaller network"
ERRORS = (
    (KeyError(0), "KeyError: 0" + FAULT),
    (AssertionError(), "AssertionError" + FAULT),
    (TypeError("'NoneType' object is not iterable"), "TypeError: 'NoneType' object is not iterable" + FAULT),
    (RecursionError("maximum recursion depth exceeded"), "RecursionError: maximum recursion depth exceeded" + FAULT),
    (ValueError(), "ValueError" + FAULT),
    (ValueError("a.txt: no such class"), "a.txt: no such class"),
    (RuntimeError("two\n  lines"), "two lines"),
    (OSError("can't identify <_io.BytesIO object at 0x7f3a5c0d1e40>"), "can't identify <_io.BytesIO object>"),
    (MemoryError(), "out of memory" + LESS),
    (MemoryError("Unable to allocate 8 PiB"), "out of memory (Unable to allocate 8 PiB)" + LESS),
    (ValueError("\x1b[2Ja\udcff\u202e.jpg: no\rimage"), "\\x1b[2Ja\\udcff\\u202e.jpg: no image"),
)


@pytest.mark.parametrize(("error", "message"), ERRORS, ids=lambda part: type(part).__name__)
def test_an_error_of_any_kind_is_one_line(failing, error, message):
    assert failing(error) == message


def test_errors_of_tensorflow(failing):
    from tensorflow import errors

    place = "{{function_node __wrapped__IteratorGetNext_device_/job:localhost}} "
    for kind, message, said in (
        (
            errors.NotFoundError,
            f"{place}a.tfrecord; No such file [Op:IteratorGetNext] name: ",
            "a.tfrecord; No such file",
        ),
        (
            errors.InvalidArgumentError,
            "Graph execution error:\n\nDetected at node net/Gather defined at (most recent call last):\n"
            '  File "a.py", line 1\n\nindices = 9 is not in [0, 3)\n\t [[{{node net/Gather}}]] [Op:__inference_7]',
            "indices = 9 is not in [0, 3)",
        ),
        (errors.DataLossError, "", "DataLossError"),
        (errors.ResourceExhaustedError, "a.bin; No space left on device", "a.bin; No space left on device"),
    ):
        assert failing(kind(None, None, message)) == f"TensorFlow: {said}"
    memory = f"{place}OOM when allocating tensor with shape[99] [Op:Fill] name: "
    said = failing(errors.ResourceExhaustedError(None, None, memory))
    assert said == f"out of memory (OOM when allocating tensor with shape[99]){LESS}"


def test_tracebacks_of_any_kind_on_demand(monkeypatch):
    monkeypatch.setattr("cspkeras.commands.networks.models.run", lambda _: {}[0])
    with pytest.raises(KeyError):
        main(["--traceback", "models"])


def test_arguments_in_an_error_are_printable(one_error):
    line = one_error("models", "a", "\x1b[31m\u202e\udcff\nb")
    assert line == "cspkeras: unrecognized arguments: \\x1b[31m\\u202e\\udcff b; see cspkeras --help"


def test_names_in_a_result_are_printable(monkeypatch, capsys):
    monkeypatch.setattr("cspkeras.commands.networks.models.run", lambda _: print("\x1b]0;owned\x07", "a\udcff.jpg"))
    assert main(["models"]) == 0
    assert capsys.readouterr().out == "\\x1b]0;owned\\x07 a\\udcff.jpg\n"


def test_the_table_of_an_evaluation(monkeypatch, capsys):
    names = ("background", "mean", "mAP", "\x1b[31mred\u202e and long")
    rows = {name: {"objects": k, "AP": k / 10} for k, name in enumerate(names)}
    measured = SimpleNamespace(to_json=lambda: {"mAP": 0.5, "per_class": rows})
    monkeypatch.setattr("cspkeras.commands.evaluate._measured", lambda _: (measured, None, ("objects", "AP")))
    assert main(["evaluate", "--model", "m", "--data", "d"]) == 0
    first, _, header, *lines = capsys.readouterr().out.splitlines()
    assert first.split() == ["mAP", "0.5000"] and header.split() == ["class", "objects", "AP"]
    assert [line.split()[-2:] for line in lines] == [[str(k), f"{k / 10:.4f}"] for k in range(4)]
    assert [line.split()[0] for line in lines] == ["background", "mean", "mAP", "\\x1b[31mred\\u202e"]
    assert {len(line) for line in lines} == {len(header)}
