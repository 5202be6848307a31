"""The machine that a benchmark runs on."""

import platform


def processor():
    """Return the processor's name. Which instructions it has decides how much faster 8 bits are."""
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
