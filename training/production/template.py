"""The template: a process that has imported everything once, of which worker processes are forked.

Neither of multiprocessing's ways will do. To fork this process would copy locks that TensorFlow's threads hold; to
spawn processes imports the user's script anew, in which `fit` may stand without a guard. The template is started as a
new program, imports what it is told and nothing of the user's, and has one thread, so it can be forked: any number of
workers costs the imports once, in time and in memory.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading

MOST_WORKERS = 256
AVAILABLE = sys.platform == "linux" and hasattr(os, "memfd_create")
ENVIRONMENT = {
    # A worker is one of many: it has one thread, and none has the GPU.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"),
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"),
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
}
START = (  # as the command `cspkeras`, which imports no more of this package than it is told
    "import sys; sys.path[:] = sys.argv[4:]; sys.argv[0] = 'cspkeras'; "
    "from {package}.worker import main; main(*sys.argv[1:4])"
)


class _Template:
    def __init__(self, modules):
        self.owner = os.getpid()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = START.format(package=__package__)
            arguments = (str(theirs.fileno()), str(self.owner), ",".join(modules), *sys.path)
            self._process = subprocess.Popen(
                [sys.executable, "-c", command, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=os.environ | ENVIRONMENT,
                process_group=0,  # a terminal's Ctrl-C is this process' alone, which then ends them all
            )

    def alive(self):
        return self.owner == os.getpid() and self._process.poll() is None

    def fork(self, descriptors):
        socket.send_fds(self._control, [b"w"], descriptors)

    def close(self):
        """End the template, and with it all workers."""
        self._control.close()
        if self.owner == os.getpid():
            self._process.kill()  # it may be at its imports
            self._process.wait()


_lock, _template = threading.Lock(), None


@atexit.register  # here, so that it comes after the end of all pools
def _close():
    if _template is not None:
        _template.close()


def start_template(modules):
    """Start the template, unless it runs, and don't wait for it; it imports `modules`, by name, ahead of its forks."""
    global _template
    with _lock:
        if _template is None or not _template.alive():
            _close()
            _template = _Template(modules)
        return _template


def fork_worker(modules, descriptors):
    """Fork a worker of the template, and pass on file descriptors, which see `worker.work`."""
    try:
        start_template(modules).fork(descriptors)
    except BrokenPipeError:  # it has just been killed
        start_template(modules).fork(descriptors)
