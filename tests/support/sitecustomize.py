"""What a Python does first that a test starts, as this folder is on its path."""

import no_network  # noqa: F401
