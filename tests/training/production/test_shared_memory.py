"""What worker processes share, and how many there are."""

import os
from pathlib import Path

import numpy as np
import pytest
from scenes import scene

from cspkeras.training import DetectionData, Example, LabelledImage, training_batches
from cspkeras.training.data.example_tables import table_of
from cspkeras.training.data.images import StoredImage
from cspkeras.training.pipeline import dataset
from cspkeras.training.production.memory import pack, unpack


def test_a_value_is_unpacked_as_it_was_and_its_arrays_are_shared():
    rng = np.random.default_rng(0)
    kinds = ((3, 5), "float32"), ((7,), "uint8"), ((0, 4), "int64")
    arrays = [rng.random(shape).astype(kind) for shape, kind in kinds]
    memory = pack({"arrays": arrays, "text": "ä", "turned": arrays[0].T[::2]})
    one, other = unpack(memory), unpack(memory)
    os.close(memory)
    assert one["text"] == "ä"
    np.testing.assert_array_equal(one["turned"], arrays[0].T[::2])
    for known, found in zip(arrays, one["arrays"], strict=True):
        np.testing.assert_array_equal(found, known)
    one["arrays"][1][:] = 9
    assert (other["arrays"][1] == 9).all() and not (arrays[1] == 9).all()
    assert not any("batches" in name for name in os.listdir("/dev/shm"))


@pytest.mark.parametrize(
    "images",
    [
        [Path("a/b.jpg"), Path("ä.png"), Path(os.fsdecode(b"\xff.jpg"))],
        [np.full((2, 3, 3), i, "uint8") for i in range(3)],
        [Path("a.jpg"), StoredImage(Path("b"), 3, 4, "c"), Path("d.jpg")],
    ],
    ids=["paths", "arrays", "others"],
)
def test_columns_hold_the_examples(images):
    scenes = [scene(seed) for seed in range(3)]
    detection = [Example(image, scenes[k].boxes[:k], scenes[k].labels[:k]) for k, image in enumerate(images)]
    labelled = [LabelledImage(image, k) for k, image in enumerate(images)]
    for examples in (detection, labelled):
        memory = pack(table_of(examples))
        columns = unpack(memory)
        os.close(memory)
        assert len(columns) == 3
        for known, found in zip(examples, (columns[np.int64(i)] for i in range(3)), strict=True):
            same = np.array_equal if isinstance(known.image, np.ndarray) else lambda a, b: a == b
            assert same(found.image, known.image) and type(found) is type(known)
            if examples is labelled:
                assert found.label == known.label
            else:
                np.testing.assert_array_equal(found.boxes, known.boxes)
                np.testing.assert_array_equal(found.labels, known.labels)


def test_a_worker_for_each_core_where_they_pay(monkeypatch):
    monkeypatch.setattr(dataset, "decoding_threads", lambda: 6)
    assert dataset.worker_count(None, 10**6, (8, 64, 64, 3)) == 6
    assert dataset.worker_count(None, 100, (8, 64, 64, 3)) == 0
    assert dataset.worker_count(3, 100, (8, 64, 64, 3)) == 3
    monkeypatch.setattr(dataset, "AVAILABLE", False)
    assert dataset.worker_count(None, 10**6, (8, 64, 64, 3)) == 0
    with pytest.raises(ValueError, match="processes on Linux alone; take 0, for threads. Received: 3"):
        dataset.worker_count(3, 100, (8, 64, 64, 3))


@pytest.mark.parametrize("workers", [-1, 257, 10_000, "x", 1.5, True])
def test_wrong_numbers(workers):
    data = DetectionData([scene(0)], ("a", "b", "c", "d"))
    with pytest.raises(ValueError, match=f"data workers must be a number from 0 to 256. Received: {workers!r}"):
        training_batches(data, (64, 64), 1, workers=workers)


def test_batches_larger_than_the_memory():
    message = r"64 data workers need more than a 4th of the memory for their batches of \(64, 9000, 9000, 3\)"
    with pytest.raises(ValueError, match=message):
        dataset.worker_count(64, 10**6, (64, 9000, 9000, 3))
    assert dataset.worker_count(None, 10**6, (10**4, 9000, 9000, 3)) == 0
