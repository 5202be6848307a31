"""TFLite files: conversion, metadata, proof on LiteRT, and the device's scripts."""

import lazy_loader

# __init__.pyi has the names and where they stand; they are loaded when they are asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
