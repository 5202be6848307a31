"""What a Python does first that a test starts, as this folder is on its path."""

import network  # noqa: F401
