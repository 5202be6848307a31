"""A data service: another machine decodes and augments the batches, by tf.data service.

The pipelines are Python functions, which tf.data service can run only in the process that defined them. So its
dispatcher, its one worker and the pipelines are one process, which a client asks by XML-RPC for the batches of a run
from a step on; one worker sends them in order. There is no password: use it in a private network.
"""

import json
import os
import secrets
import sys
import threading
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from xmlrpc.client import Fault, ServerProxy
from xmlrpc.server import SimpleXMLRPCServer

import tensorflow as tf

from ..data.examples import fingerprint
from ..pipeline.batches import batches
from ..pipeline.dataset import as_floats, without_autotune
from .addresses import resolved

OPTION = "--data-service"
PING_INTERVAL, PING_TIMEOUT = 10, 30  # seconds between two; seconds after which a silent server counts as dead


class _Rpc(ThreadingMixIn, SimpleXMLRPCServer):
    daemon_threads = True


class DataServer:
    """A server of a data set's training batches, for any number of runs, each with its own recipe.

    Args:
        data: `DetectionData` or `ClassificationData`.
        address: "host:port": the name by which clients find this machine, and the first of three ports in a row.
        report: called with a line for each broken image.

    Raises:
        OSError: where one of the ports is taken.
        ValueError: for an address that is malformed or does not resolve.
    """

    def __init__(self, data, address, report=print):
        self.data, self.address, self.report = data, address, report
        self._served, self._lock = {}, threading.Lock()
        host, port = resolved(address, "--address")
        service = tf.data.experimental.service
        try:
            self._rpc = _Rpc(("", port), logRequests=False)
            self._dispatcher = service.DispatchServer(service.DispatcherConfig(port=port + 1))
            where = dict(worker_address=f"{host}:{port + 2}", port=port + 2)
            config = service.WorkerConfig(dispatcher_address=f"localhost:{port + 1}", **where)
            self._worker = service.WorkerServer(config)
        except (OSError, OverflowError, tf.errors.OpError) as e:
            raise OSError(f"{address}: ports {port} to {port + 2} can't be opened ({str(e).splitlines()[0]})") from e
        about = [fingerprint(data), secrets.token_hex(8)]  # the latter differs after a restart
        self._rpc.register_function(lambda: about, "about")
        self._rpc.register_function(self._register, "register")

    def serve(self):
        """Answer until `close`."""
        self._rpc.serve_forever()

    def close(self):
        """End `serve`, which runs in another thread, and the service."""
        self._rpc.shutdown()
        self._rpc.server_close()
        self._worker._stop()
        self._dispatcher._stop()

    def _register(self, text):
        """Return the id of the dataset that a client's JSON text describes."""
        with self._lock:
            if text not in self._served:
                wanted = json.loads(text)
                size, batch_size = wanted.pop("size"), wanted.pop("batch_size")
                made = batches(self.data, tuple(size), batch_size, dtype="uint8", report=self.report, **wanted)
                key = tf.data.experimental.service.register_dataset(self._dispatcher.target, made, compression=None)
                self._served[text] = key.numpy().decode(), made  # kept, for its Python functions
            return self._served[text][0]


def check_service(address, data=None):
    """Raise an OSError if no `DataServer` answers, a ValueError for a wrong address or where it serves other data."""
    known, _ = _ask(address, "about")
    if data and known != fingerprint(data):
        raise ValueError(f"{OPTION} {address}: serves other images, labels or classes than --data has for training")


def served(address, size, batch_size, **options):
    """Return `batches` of a `DataServer`'s data, decoded and augmented there, equal to those made here.

    The options are seed, start_step, augment and share, as in `training_batches`. OSError: no server answers.
    """
    text = json.dumps({"size": size, "batch_size": batch_size, **options})
    key, (host, port) = _ask(address, "register", text), resolved(address, OPTION)
    service = tf.data.experimental.service
    made = service.from_dataset_id(service.ShardingPolicy.OFF, f"grpc://{host}:{port + 1}", key)
    return without_autotune(made.map(as_floats).prefetch(2))


@contextmanager
def watched(address):
    """End the process, with one line, if a server dies in this block: tf.data service would wait for it forever."""
    done, first = threading.Event(), _ask(address, "about")

    def watch():
        silent, why = 0, ""
        while silent < PING_TIMEOUT:
            if done.wait(PING_INTERVAL):
                return
            try:
                silent, why = (0, "") if _ask(address, "about") == first else (PING_TIMEOUT, "has been restarted")
            except (OSError, ValueError) as e:
                silent, why = silent + PING_INTERVAL, e
        why = why if isinstance(why, Exception) else f"{OPTION} {address}: {why}"
        print(f"cspkeras: {why}; continue the run with --resume once it answers", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _ask(address, what, *args):
    host, port = resolved(address, OPTION)
    host = f"[{host}]" if ":" in host else host
    try:
        with ServerProxy(f"http://{host}:{port}") as server:
            return getattr(server, what)(*args)
    except Fault as e:
        raise ValueError(f"{OPTION} {address}: {e.faultString.partition(':')[2]}") from e
    except Exception as e:  # whatever else answers there
        raise OSError(f"{OPTION} {address}: no `cspkeras data serve` answers there ({e})") from e
