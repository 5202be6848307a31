"""Files on NPUs: what Arm's compiler takes of them."""

import json

import pytest

from cspkeras.commands.main import main
from cspkeras.tflite import check
from cspkeras.tflite.export import metadata
from cspkeras.tflite.proof import npu as npu_file
from cspkeras.tflite.proof.npu import NPU, NPUS, Left, check_npu
from cspkeras.tflite.runtime.litert import LiteRTError

EACH = "ethos-u55-128", "ethos-u65-256", "ethos-u85-256"


@pytest.mark.integration
@pytest.mark.parametrize("name", EACH)
def test_a_file_of_integers_is_taken_whole(integers, name):
    found = check_npu(integers, name)
    assert (found.share, found.multiply_add_share, found.left) == (1, 1, [])
    assert (found.operations, found.npu_operations) == (4, 4)
    assert found.multiply_adds == found.npu_multiply_adds == 12416
    assert found.cycles > 12416 / int(name.split("-")[-1])  # what it can do at most
    clock = float(found.system.split()[-2]) * 1e6
    assert found.milliseconds == pytest.approx(1000 * found.cycles / clock, rel=1e-3)
    assert found.sram_bytes > 7 * 7 * 8  # the map between the convolutions


@pytest.mark.integration
def test_what_stays_on_the_cpu_and_why(several):
    found = check_npu(several / "int8.tflite", "ethos-u65-256")
    assert found.operations == found.npu_operations + len(found.left) == 8
    reasons = {left.kind: left.reason for left in found.left}
    assert "GATHER" in reasons and reasons["GATHER"] not in ("", "no reason given")
    assert found.multiply_add_share == 1 > found.share


@pytest.mark.integration
def test_the_archive_after_the_network_changes_nothing(integers, tmp_path):
    path = tmp_path / "a file: 'ü'.tflite"
    path.write_bytes(metadata.attach(integers.read_bytes(), {"precision": "int8"}, ["a", "b"]))
    assert check_npu(path, EACH[1]) == check_npu(integers, EACH[1])


@pytest.mark.integration
def test_the_command(several, integers, capsys):
    assert main(["check", str(integers), "--npu", EACH[0]]) == 0
    table = capsys.readouterr().out
    assert "ethos-u55-128: 100.0% of 4 operations, 100.0% of the multiply-adds" in table
    assert main(["check", str(several / "gpu.tflite"), "--npu", EACH[0], "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["npu"]["share"] == found["npu"]["npu_operations"] == 0
    assert any(fault.startswith("NPU: ethos-u55-128 takes none of the operations") for fault in found["faults"])


@pytest.mark.integration
def test_a_file_that_the_compiler_refuses(several):
    found = check(several / "float32.tflite", runs=1, npu=EACH[0])
    (fault,) = [fault for fault in found.faults if fault.startswith("NPU")]
    assert found.npu is None and "ARGMAX" in fault and "8bit" in fault and "\n" not in fault


@pytest.mark.integration
def test_a_file_that_the_compiler_fails_on(integers, tmp_path):
    path = tmp_path / "cut.tflite"
    path.write_bytes(integers.read_bytes()[:2000])
    with pytest.raises(LiteRTError, match="cut.tflite: ethos-u-vela cannot compile it for ethos-u55-128") as error:
        check_npu(path, EACH[0])
    assert "\n" not in str(error.value)
    with pytest.raises(LiteRTError, match="no result within 0.01 seconds"):
        check_npu(integers, EACH[0], timeout=0.01)


def test_an_unknown_npu_is_told_the_known_ones(one_error, models):
    line = one_error("check", models / "bare.tflite", "--npu", "ethos-u75")
    assert all(name in line for name in NPUS) and "'ethos-u75'" in line


@pytest.mark.integration
def test_the_names_are_the_compilers(tmp_path):
    from ethosu.vela.architecture_features import Accelerator

    assert set(NPUS) == set(Accelerator.member_list())


def test_without_the_compiler_the_extra_is_named(one_error, models, monkeypatch):
    monkeypatch.setattr(npu_file, "find_spec", lambda name: None)
    line = one_error("check", models / "bare.tflite", "--npu", EACH[0])
    assert "ethos-u-vela" in line and "cspkeras[npu]" in line


def test_the_rows_group_what_is_left_by_its_reason():
    left = [
        Left(kind, "", f"Operation has tensor with unsupported DataType Float32 ({kind}); Types: INT8")
        for kind in "ABA"
    ]
    left.append(Left("DEQUANTIZE", "", "Unsupported opType"))
    found = NPU("ethos-u65-256", "vela 5", "chip, memory, 1000 MHz", 8, 4, 100, 75, left, 0.5, 500_000, 2048, 0, 1024)
    assert found.rows() == [
        ("NPU", "ethos-u65-256: 50.0% of 8 operations, 75.0% of the multiply-adds"),
        ("", "vela 5 for chip, memory, 1000 MHz"),
        ("", "estimate: 0.5 ms, 500,000 cycles, 2 KiB SRAM, 1 KiB flash"),
        ("left on the CPU", "2 x A, 1 x B: Operation has tensor with unsupported DataType Float32"),
        ("", "1 x DEQUANTIZE: Unsupported opType"),
    ]
