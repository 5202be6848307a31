"""The Android demo: how a model gets into it, the APK, and its Kotlin beside Python."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cspkeras.tflite.device.detect import Detector

DEMO = Path(__file__).resolve().parents[1] / "android_demo"
SOURCES = DEMO / "app/src/main/kotlin"
APK = DEMO / "build/cspkeras-demo.apk"
TOOLS = ("aapt2", "apksigner", "dexdump", "javac", "mvn", "zipalign")
ABIS = ("arm64-v8a", "armeabi-v7a", "x86_64")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout


def test_the_application_is_small_and_its_logic_knows_no_android():
    files = {path: path.read_text() for path in SOURCES.rglob("*.kt")}
    assert sum(len(text.splitlines()) for text in files.values()) < 1400
    logic = [text for path, text in files.items() if path.parent.name == "logic"]
    assert logic and not any(re.search(r"^import (android|org\.tensorflow)", text, re.MULTILINE) for text in logic)


@pytest.mark.integration
def test_export_wants_the_demo_and_one_target(one_error, tmp_path):
    arguments = "export", "--model", "bccd"
    assert "expected a copy of android_demo" in one_error(*arguments, "--android", tmp_path)
    assert "not allowed with" in one_error(*arguments, "--android", tmp_path, "--output", tmp_path / "x.tflite")
    assert "is required" in one_error(*arguments)


@pytest.fixture(scope="module")
def built():
    """What the build printed: of the APK, then of its JUnit tests."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"the Android demo's build needs {', '.join(missing)}: see android_demo/README.md")
    return run(sys.executable, DEMO / "build.py", "test")


@pytest.mark.slow
def test_kotlin_finds_what_python_finds(built):
    assert int(re.search(r"OK \((\d+) tests\)", built)[1]) >= 25
    print(*re.findall(r"post-processing .* ms", built))


@pytest.mark.slow
def test_the_apk_can_be_installed(built):
    assert APK.stat().st_size < 30e6
    badging = run("aapt2", "dump", "badging", APK)
    expected = (
        "package: name='cspkeras.demo'",
        "sdkVersion:'24'",
        "targetSdkVersion:'35'",
        "uses-permission: name='android.permission.CAMERA'",
        "launchable-activity: name='cspkeras.demo.MainActivity'",
        "native-code: " + " ".join(f"'{abi}'" for abi in ABIS),
        "uses-feature-not-required: name='android.hardware.camera'",
    )
    for line in expected:
        assert line in badging, badging
    assert badging.count("uses-permission:") == 1  # neither the network nor any file
    assert "exported" in run("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", APK)
    signed = run("apksigner", "verify", "--verbose", "--print-certs", APK)
    assert "v2 scheme (APK Signature Scheme v2): true" in signed and "CN=Android Debug" in signed
    run("zipalign", "-c", "4", APK)


@pytest.mark.slow
def test_the_apk_has_all_it_needs(built, tmp_path):
    with zipfile.ZipFile(APK) as apk:
        names = set(apk.namelist())
        libraries = {f"lib/{abi}/libtensorflowlite_{kind}.so" for abi in ABIS for kind in ("jni", "gpu_jni")}
        assert {name for name in names if name.startswith("lib/")} == libraries
        models = [name for name in names if name.startswith("assets/")]
        assert models and all(re.fullmatch(r"assets/models/\w+\.tflite", name) for name in models)
        for name in models:
            apk.extract(name, tmp_path)
            assert Detector.read_settings(tmp_path / name)[1]  # labels
        apk.extract("classes.dex", tmp_path)
    classes = set(re.findall(r"Class descriptor +: 'L(.*);'", run("dexdump", tmp_path / "classes.dex")))
    sources = {f"cspkeras/demo/{path.stem}" for path in SOURCES.glob("*/*/[A-Z]*.kt")} - {"cspkeras/demo/Pictures"}
    assert sources <= classes and "cspkeras/demo/logic/Detector" in classes
    for name in ("Interpreter", "gpu/GpuDelegate", "gpu/GpuDelegateFactory$Options"):
        assert f"org/tensorflow/lite/{name}" in classes
    assert not [name for name in classes if re.match(r"android/|org/(junit|robolectric)|.*Test$", name)]
