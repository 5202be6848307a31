"""The share of the processor that other programs use, on Linux; on other systems it is not known and counts as zero."""

import os
import time
from contextlib import suppress

TOLERATED = 0.03  # share of all cores


def _busy():
    """Return the processor seconds that all programs have used since the machine started."""
    try:
        with open("/proc/stat") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    except OSError:
        return 0
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own():
    """Return those of this process and of its children that have ended."""
    return sum(os.times()[:4])


def of_children():
    """Return the processor seconds of this process' children, and theirs, that are alive."""
    import psutil  # which few of the benchmarks need

    seconds = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            seconds += sum(child.cpu_times()[:2])
    return seconds


class Load:
    """A counter of other programs' use of the processor, from its creation on."""

    def __init__(self):
        self.busy, self.own, self.start = _busy(), _own(), time.perf_counter()

    def others(self, besides=0.0):
        """Return the share of all cores that others than this process and its ended children have used since.

        `besides` are the processor seconds of those that belong to it, too, but that it can't count.
        """
        used = _busy() - self.busy - (_own() - self.own) - besides
        return max(used, 0) / (time.perf_counter() - self.start) / os.cpu_count()


class Patience:
    """The seconds that may be spent on waiting for other programs to be quiet and on measuring again."""

    def __init__(self, seconds):
        self.left = seconds

    def undisturbed(self, measure):
        """Call `measure`, which returns a result and the others' load, until they were quiet or the time is used up."""
        while True:
            while self.left > 0:
                load = Load()
                time.sleep(1)
                self.left -= 1
                if load.others() <= TOLERATED:
                    break
            start = time.perf_counter()
            result, load = measure()
            if load <= TOLERATED or self.left <= 0:
                return result, load
            self.left -= time.perf_counter() - start
