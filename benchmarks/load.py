"""What other programs take of the processor, as Linux tells; elsewhere nothing is known and it counts as none."""

import os
import time

TOLERATED = 0.03  # share of all cores


def _busy():
    """Processor seconds that all programs have used since the machine started."""
    try:
        with open("/proc/stat") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
    except OSError:
        return 0
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own():
    """Those of this process and of its children that have ended."""
    return sum(os.times()[:4])


class Load:
    """Counts from when it is made."""

    def __init__(self):
        self.busy, self.own, self.start = _busy(), _own(), time.perf_counter()

    def others(self):
        """The share of all cores that programs other than this process and its ended children have used since."""
        used = _busy() - self.busy - (_own() - self.own)
        return max(used, 0) / (time.perf_counter() - self.start) / os.cpu_count()


class Patience:
    """The seconds that may be spent on waiting for others to be quiet and on measuring anew."""

    def __init__(self, seconds):
        self.left = seconds

    def undisturbed(self, measure):
        """Call `measure`, which returns a result and the others' load, until they were quiet or the patience ended."""
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
