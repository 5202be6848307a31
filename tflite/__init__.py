"""TFLite files: conversion, metadata, proof on LiteRT, and the device's script."""

from .benchmark import benchmark
from .check import check
from .convert import convert

__all__ = ["benchmark", "check", "convert"]
