"""The packages, found: `training/` and `tflite/` are `cspkeras.training` and `cspkeras.tflite`."""

from setuptools import find_packages, setup

ROOTS = {"cspkeras": "cspkeras", "cspkeras.training": "training", "cspkeras.tflite": "tflite"}

setup(
    packages=[
        package
        for name, folder in ROOTS.items()
        for package in (name, *(f"{name}.{inner}" for inner in find_packages(folder)))
    ],
    package_dir=ROOTS,
)
