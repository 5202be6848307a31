"""Nothing talks to a network unless it is asked to; the hook that sees this runs in all tests."""

import os
import socket
import subprocess
import sys

import pytest
from no_network import allowed

# Imports everything, and runs two commands; the proof that it is watched is the last line.
WHOLE = """
import pkgutil, importlib, socket
import cspkeras, cspkeras.training, cspkeras.tflite
for package in (cspkeras, cspkeras.training, cspkeras.tflite):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.startswith(("cspkeras.tflite.runtime.", "cspkeras.training.production.")):  # scripts
            importlib.import_module(module.name)
from cspkeras.commands.main import main
assert main(["models", "--weights"]) == 0
assert main(["analyze", "CSPDarknet53Tiny", "--size", "64"]) == 0
try:
    socket.create_connection(("192.0.2.1", 80), 0.1)
except PermissionError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.getaddrinfo("example.com", 80),
        lambda: socket.gethostbyname("example.com"),
        lambda: socket.create_connection(("192.0.2.1", 80), 0.1),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("192.0.2.1", 80)),
    ],
)
def test_another_machine_is_out_of_reach(reach):
    with pytest.raises(PermissionError, match="^a test reaches for the network: "):
        reach()


@pytest.mark.parametrize(
    "host, answer",
    [
        *((name, True) for name in (None, "", "localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", b"localhost")),
        *((name, False) for name in ("example.com", "192.0.2.1", "2001:db8::1", "localhost.example.com")),
        ("host.invalid", True),
    ],
)
def test_what_is_this_machine(host, answer):
    assert allowed(host) is answer


@pytest.mark.integration
def test_importing_and_running_ask_no_network():
    environment = {name: value for name, value in os.environ.items() if name != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", WHOLE], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("a test reaches for the network: socket.")
