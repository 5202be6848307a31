"""What `cspkeras doctor` says of this machine."""

import importlib.metadata

import pytest

from cspkeras.commands import doctor
from cspkeras.commands.main import main


@pytest.mark.integration
def test_it_tells_the_packages_and_tries_a_file(capsys):
    assert main(["doctor"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines()[1:])
    assert f"keras {importlib.metadata.version('keras')}" in lines["needed"]
    assert "ai-edge-litert" in lines["export"]
    assert lines["a .tflite file of one layer"].startswith("CPU well; GPU ")


def test_what_is_missing_is_told_with_its_command(capsys, monkeypatch):
    named = [
        "keras>=3",
        "pillow>=999",
        'absent-one<2; extra == "onnx"',
        'keras; python_version < "3" and extra == "jax"',
    ]
    monkeypatch.setattr(doctor, "requires", lambda package: named)
    monkeypatch.setattr(doctor, "_tried", lambda: "")
    assert main(["doctor"]) == 0
    needed, onnx, _ = capsys.readouterr().out.splitlines()[2:]
    assert needed.startswith("needed: keras 3") and needed.endswith("MISSING pillow>=999: pip install 'cspkeras'")
    assert onnx == "onnx: nothing; MISSING absent-one<2: pip install 'cspkeras[onnx]'"
