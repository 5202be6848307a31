"""MediaPipe Tasks' metadata, inside the flatbuffer: what its ObjectDetector and ImageClassifier need in a file.

`TABLES` are the tables of MediaPipe's metadata_schema.fbs and object_detector_metadata_schema.fbs that are used here,
their fields in order: a field's place is its slot in the flatbuffer. The labels are the archive's `labels.txt`
(see `metadata`), which MediaPipe reads in place.
"""

import numpy as np
from flatbuffers.number_types import Float32Flags, Int8Flags, Int32Flags, Uint32Flags
from tensorflow.lite.python import schema_py_generated as schema

from .flatbuffer import Builder
from .metadata import LABELS_ENTRY

TABLES = {
    "ModelMetadata": "name description version subgraph_metadata author license associated_files min_parser_version",
    "SubGraphMetadata": "name description input_tensor_metadata output_tensor_metadata associated_files "
    "input_process_units output_process_units input_tensor_groups output_tensor_groups custom_metadata",
    "TensorMetadata": "name description dimension_names content process_units stats associated_files",
    "Content": "properties_type properties range",
    "ImageProperties": "color_space default_size",
    "ImageSize": "width height",
    "BoundingBoxProperties": "index type coordinate_type",
    "ProcessUnit": "options_type options",
    "NormalizationOptions": "mean std",
    "ScoreThresholdingOptions": "global_score_threshold",
    "AssociatedFile": "name description type locale version",
    "CustomMetadata": "name data",
    "ObjectDetectorOptions": "min_parser_version ssd_anchors_options tensors_decoding_options",
    "SsdAnchorsOptions": "fixed_anchors_schema",
    "FixedAnchorsSchema": "anchors",
    "FixedAnchor": "x_center y_center width height",
    "TensorsDecodingOptions": "num_classes num_boxes num_coords keypoint_coord_offset num_keypoints "
    "num_values_per_keypoint x_scale y_scale w_scale h_scale apply_exponential_on_box_size sigmoid_score",
}
NUMBERS = {np.float32: Float32Flags, np.int8: Int8Flags, np.int32: Int32Flags, np.uint32: Uint32Flags}
# Members of the schema's enumerations and unions.
IMAGE, BOUNDING_BOX, NORMALIZATION, THRESHOLDING = (np.int8(n) for n in (2, 3, 1, 3))
RGB, BOUNDARIES, AXIS_LABELS = np.int8(1), np.int8(1), np.int8(2)
ENTRY = b"TFLITE_METADATA"


def embed(model, settings, labels):
    """Put MediaPipe's metadata into a .tflite file; not for raw boxes, which its tasks can't decode.

    Args:
        model: the file's `schema.ModelT`, which is changed.
        settings: of a detector or classifier, as in `cspkeras.tflite.export.metadata`.
        labels: a name per class.
    """
    if settings.get("boxes") == "raw":
        return
    names = {output.tensorIndex: output.name.decode() for output in model.signatureDefs[0].outputs}
    graph = model.subgraphs[0]
    outputs = {names[index]: graph.tensors[index].shape for index in graph.outputs}  # in the file's order
    model.metadata = model.metadata or []
    entry = next((old for old in model.metadata if old.name == ENTRY), None)
    if entry is None:
        entry = schema.MetadataT()
        entry.name, entry.buffer = ENTRY, len(model.buffers)
        model.metadata.append(entry)
        model.buffers.append(schema.BufferT())
    model.buffers[entry.buffer].data = np.frombuffer(
        _flatbuffer(_model(settings, len(labels), outputs), b"M001"), np.uint8
    )


def _table(kind, **fields):
    return kind, fields


def _model(settings, classes, outputs):
    how, detection = settings["input"], settings["task"] == "detection"
    size = _table("ImageSize", width=np.uint32(how["width"]), height=np.uint32(how["height"]))
    # The network's input is (pixel - mean) * scale, MediaPipe's (pixel - mean) / std.
    mean, std = (np.broadcast_to(np.float32(values), 3) for values in (how["mean"], 1 / np.float64(how["scale"])))
    image = _table(
        "TensorMetadata",
        name="image",
        content=_content(IMAGE, _table("ImageProperties", color_space=RGB, default_size=size)),
        process_units=[_unit(NORMALIZATION, _table("NormalizationOptions", mean=mean, std=std))],
    )
    threshold = _table("ScoreThresholdingOptions", global_score_threshold=np.float32(settings["score_threshold"]))
    scores = _table(
        "TensorMetadata",
        name="score",
        process_units=[_unit(THRESHOLDING, threshold)],
        associated_files=[_table("AssociatedFile", name=LABELS_ENTRY, type=AXIS_LABELS)],
    )
    # The corners' order and type are what MediaPipe insists on; how boxes are decoded is in the options.
    box = _table("BoundingBoxProperties", index=np.arange(4, dtype=np.uint32), type=BOUNDARIES)
    known = {"boxes": _table("TensorMetadata", name="location", content=_content(BOUNDING_BOX, box)), "scores": scores}
    tensors = [known[name] for name in outputs] if detection else [scores]
    graph = {"input_tensor_metadata": [image], "output_tensor_metadata": tensors}
    if detection:
        options = _flatbuffer(_detector_options(outputs["boxes"][1], classes), b"V001")
        graph["custom_metadata"] = [_table("CustomMetadata", name="DETECTOR_METADATA", data=options)]
    graph = _table("SubGraphMetadata", **graph)
    return _table("ModelMetadata", name=settings["model"], subgraph_metadata=[graph], min_parser_version="1.0.0")


def _content(kind, properties):
    return _table("Content", properties_type=kind, properties=properties)


def _unit(kind, options):
    return _table("ProcessUnit", options_type=kind, options=options)


def _detector_options(boxes, classes):
    """The options of a detector whose boxes are decoded already: relative to the whole image they stay the same."""
    one = np.float32(1)
    anchor = _table("FixedAnchor", width=one, height=one)  # its centre is 0, the default
    counts = dict(num_classes=classes, num_boxes=boxes, num_coords=4, num_values_per_keypoint=2)
    decoding = {name: np.int32(count) for name, count in counts.items()}
    decoding |= dict.fromkeys(("x_scale", "y_scale", "w_scale", "h_scale"), one)
    return _table(
        "ObjectDetectorOptions",
        min_parser_version="1.0.0",
        ssd_anchors_options=_table(
            "SsdAnchorsOptions", fixed_anchors_schema=_table("FixedAnchorsSchema", anchors=[anchor] * int(boxes))
        ),
        tensors_decoding_options=_table("TensorsDecodingOptions", **decoding),
    )


def _flatbuffer(table, identifier):
    builder = Builder(1024)
    builder.Finish(_write(builder, table, {}), identifier)
    return bytes(builder.Output())


def _write(builder, value, known):
    """Write a string, bytes, an array, a list of tables or a table; return its place. A table is written once."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, bytes):
        return builder.CreateNumpyVector(np.frombuffer(value, np.uint8))
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(np.ascontiguousarray(value))
    if isinstance(value, list):
        places = [_write(builder, item, known) for item in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    if id(value) not in known:
        known[id(value)] = _write_table(builder, *value, known)
    return known[id(value)]


def _write_table(builder, kind, fields, known):
    slots = TABLES[kind].split()
    numbers = {name: value for name, value in fields.items() if isinstance(value, np.generic)}
    places = {name: _write(builder, value, known) for name, value in fields.items() if name not in numbers}
    builder.StartObject(len(slots))
    for name, place in places.items():
        builder.PrependUOffsetTRelative(place)
        builder.Slot(slots.index(name))
    for name, value in numbers.items():
        builder.Prepend(NUMBERS[type(value)], value.item())
        builder.Slot(slots.index(name))
    return builder.EndObject()
