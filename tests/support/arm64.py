"""Python and the TFLite runtimes of a 64-bit ARM device, under QEMU's user emulation.

    python tests/support/arm64.py FOLDER     download them: half a minute, 260 MB on disk
    CSPKERAS_ARM64=FOLDER pytest -m slow tests/tflite/device/test_arm64.py

It needs Debian, with its package qemu-user-static, and no root: apt-get works in a folder of its own, so that this
machine's packages and architectures stay as they are.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EMULATOR = "qemu-aarch64-static"
CPU = "cortex-a76"  # of a Raspberry Pi 5; QEMU's own choice, "max", is not a processor that exists
PACKAGES = "python3", "libstdc++6"  # Debian's; with all that they need
RUNTIMES = {  # a folder of Python packages each; ai-edge-litert 2.2 and 2.3 crash under QEMU 7.2
    "ai-edge-litert": ("ai-edge-litert==2.1.0", "pillow"),
    "tflite-runtime": ("tflite-runtime==2.14.0", "numpy<2", "pillow"),
}
PLATFORMS = "manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 37))  # by Debian 12's libc


def command(folder, runtime):
    """Return the start of the command line of a Python on ARM that has a runtime; the script comes after it."""
    root, site = Path(folder, "root").resolve(), Path(folder, runtime).resolve()
    set_there = f"PYTHONHOME=/usr,PYTHONPATH={site},LD_LIBRARY_PATH=/usr/lib/aarch64-linux-gnu:/lib/aarch64-linux-gnu"
    return [EMULATOR, "-cpu", CPU, "-L", root, "-E", set_there, *root.glob("usr/bin/python3")]


def prepare(folder):
    """Make the folder, unless it is there, of the same packages; it gets its name last."""
    folder, recipe = Path(folder).resolve(), f"{PACKAGES}\n{RUNTIMES}\n"
    if folder.exists():
        if not (folder / "recipe").exists():
            sys.exit(f"{folder}: exists and was not made by this script; name another folder")
        if (folder / "recipe").read_text() == recipe:
            return
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        made = Path(aside, folder.name)
        unpack_debian(made / "root", Path(aside, "apt"))
        (version,) = (path.name.removeprefix("python") for path in made.glob("root/usr/lib/python3.*"))
        for runtime, packages in RUNTIMES.items():
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-warn-conflicts",
                "--no-compile",
                "--only-binary=:all:",
            ]
            pip += ["--python-version", version, *(f"--platform={platform}" for platform in PLATFORMS)]
            subprocess.run([*pip, "--target", made / runtime, *packages], check=True)
        (made / "recipe").write_text(recipe)
        made.rename(folder)


def unpack_debian(root, apt):
    """Unpack Debian's `PACKAGES` for arm64 into `root`, by an apt-get in the folder `apt` that finds none installed."""
    for name in ("lists/partial", "archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    settings = {"APT::Architecture": "arm64", "APT::Architectures": "arm64", "APT::Sandbox::User": "root"}
    settings |= {"Dir::State": apt, "Dir::State::status": apt / "status", "Dir::Cache": apt}
    get = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
    subprocess.run([*get, "update"], check=True)
    subprocess.run([*get, "install", "--yes", "--no-install-recommends", "--download-only", *PACKAGES], check=True)
    root.mkdir(parents=True)
    for package in apt.glob("archives/*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True)


if __name__ == "__main__":
    prepare(sys.argv[1])
