"""The three tiers of tests: one without a marker may not start a process, and so not convert, nor fit a model.

`pytest` runs those without a marker, `pytest -m integration` and `pytest -m slow` the others, `pytest -m ""` all.
"""

import functools
import os
import sys

import pytest
import wrapt  # which TensorFlow needs as well

MARKERS = "slow", "integration"
LIBRARIES = {"uname", "lscpu", "ldconfig"}  # what some run when they are imported
running = None  # the test that runs now, if it has no marker


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    global running
    running = None if _tier(item) in MARKERS else item.nodeid
    try:
        return (yield)
    finally:
        running = None


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that several processes end at the same time."""
    tiers = [*MARKERS, None]
    first = {}
    for item in items:
        first[item.path] = min(first.get(item.path, len(tiers)), tiers.index(_tier(item)))
    items.sort(key=lambda item: first[item.path])


def _tier(item):
    return next((marker for marker in MARKERS if item.get_closest_marker(marker)), None)


def _forbid(what):
    if running:
        pytest.fail(f"{running} {what}: mark it `integration`, or `slow`")


def _watch(event, arguments):
    if event == "subprocess.Popen" and os.path.basename(os.fsdecode(arguments[0])) not in LIBRARIES:
        _forbid(f"starts a process, {arguments[1]}")


sys.addaudithook(_watch)


@wrapt.when_imported("keras")
@wrapt.when_imported("tf_keras")
def _watch_fit(library):
    fit = library.Model.fit

    @functools.wraps(fit)
    def watched(*arguments, **options):
        _forbid("fits a model")
        return fit(*arguments, **options)

    library.Model.fit = watched
