"""The same few images and boxes as the annotation tools write them: small data sets after each tool's own layout.

`EXPORTS` has a writer for each, called after the reader of the format and the tool: a function of an empty folder that
returns the names of the splits, none where there are none. `check` compares what was read with `TRUTH`.
"""

from pathlib import Path

import numpy as np
import tool_exports as tools
from export_truth import ALL, CLASSES, GROUP, HEIGHT, ROBOFLOW, SIZE, TRUTH, WIDTH, check, draw, drawn, put, roboflow

from cspkeras.training.data.files.folder import Folder

__all__ = [
    "ALL",
    "CLASSES",
    "EXPORTS",
    "SIZE",
    "TRUTH",
    "check",
    "check_export",
    "check_recognition",
    "exports_of",
    "written",
]


# Pascal VOC


def voc_xml(name, objects, folder="images"):
    things = "".join(
        f"<object><name>{label}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox>"
        f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>\n"
        for label, (x1, y1, x2, y2) in objects
    )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation><folder>{folder}</folder><filename>{name}</filename>{size}\n{things}</annotation>\n"


def voc(folder):
    for split, images in {"train": TRUTH["train"], "val": TRUTH["valid"]}.items():
        for name, objects in drawn(folder, "JPEGImages/{}.jpg", images):
            put(folder / f"Annotations/{name}.xml", voc_xml(f"{name}.jpg", objects))
        put(folder / f"ImageSets/Main/{split}.txt", "".join(f"{name}\n" for name in images))
    return ["train", "val"]


def voc_cvat(folder):
    for name, objects in drawn(folder, "JPEGImages/{}.jpg"):
        put(folder / f"Annotations/{name}.xml", voc_xml(f"{name}.jpg", objects))
    put(folder / "ImageSets/Main/default.txt", "".join(f"{name}\n" for name in ALL))
    put(
        folder / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\n" + "".join(f"{c}:::\n" for c in CLASSES),
    )
    return ["default"]


def voc_roboflow(folder):
    for split, name, objects in roboflow(folder):
        put(folder / split / f"{Path(name).stem}.xml", voc_xml(name, objects, ""))
    return list(TRUTH)


def voc_labelstudio(folder):
    for name, objects in drawn(folder, "images/{}.jpg"):
        put(folder / f"Annotations/{name}.xml", voc_xml(name, objects))
    return []


def voc_labelimg(folder):
    for name, objects in drawn(folder, "{}.jpg"):
        put(folder / f"{name}.xml", voc_xml(f"{name}.jpg", objects, folder.name))
    return []


# COCO


def coco_json(images, first=1):
    """COCO's lists of {file name: objects}; the categories' numbers begin at `first`."""
    entries, annotations = [], []
    for number, (name, objects) in enumerate(images.items()):
        entries.append({"id": number, "license": 1, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for label, (x1, y1, x2, y2) in objects:
            box = [x1, y1, x2 - x1, y2 - y1]
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": CLASSES.index(label) + first,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "segmentation": [],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": i + first, "name": label, "supercategory": ""} for i, label in enumerate(CLASSES)]
    return {"info": {}, "licenses": [], "categories": categories, "images": entries, "annotations": annotations}


def coco_2017(folder):
    for split, images in {"train2017": TRUTH["train"], "val2017": TRUTH["valid"]}.items():
        drawn(folder / split, "{}.jpg", images)
        named = {f"{name}.jpg": objects for name, objects in images.items()}
        put(folder / f"annotations/instances_{split}.json", coco_json(named))
    return ["train2017", "val2017"]


def coco_roboflow(folder):
    """Write it with the category of no object that Roboflow puts first."""
    found = {split: {} for split in TRUTH}
    for split, name, objects in roboflow(folder):
        found[split][name] = objects
    for split, images in found.items():
        stored = coco_json(images)
        stored["categories"].insert(0, {"id": 0, "name": GROUP, "supercategory": "none"})
        put(folder / split / "_annotations.coco.json", stored)
    return list(TRUTH)


def coco_cvat(folder):
    drawn(folder, "images/default/{}.jpg")
    put(folder / "annotations/instances_default.json", coco_json({f"{name}.jpg": ALL[name] for name in ALL}))
    return []


def coco_labelstudio(folder):
    drawn(folder, "images/{}.jpg")
    put(folder / "result.json", coco_json({f"images\\{name}.jpg": ALL[name] for name in ALL}, first=0))
    return []


def coco_fiftyone(folder):
    drawn(folder, "data/{}.jpg")
    put(folder / "labels.json", coco_json({f"{name}.jpg": ALL[name] for name in ALL}))
    return []


# YOLO and Darknet


def yolo_lines(objects):
    lines = []
    for label, (x1, y1, x2, y2) in objects:
        values = (x1 + x2) / 2 / WIDTH, (y1 + y2) / 2 / HEIGHT, (x2 - x1) / WIDTH, (y2 - y1) / HEIGHT
        lines.append(" ".join([str(CLASSES.index(label)), *(f"{value:.6f}" for value in values)]))
    return "\n".join(lines)


NAMES = "".join(f"{label}\n" for label in CLASSES)


def yolo(folder):
    for split, images in {"train": TRUTH["train"], "val": TRUTH["valid"]}.items():
        for name, objects in drawn(folder / f"images/{split}", "{}.jpg", images):
            put(folder / f"labels/{split}/{name}.txt", yolo_lines(objects))
    names = "".join(f"  {i}: {label}\n" for i, label in enumerate(CLASSES))
    put(folder / "data.yaml", f"path: ../datasets/animals\ntrain: images/train\nval: images/val\n\nnames:\n{names}")
    return ["train", "val"]


def yolo_roboflow(folder):
    for split, name, objects in roboflow(folder, "images"):
        put(folder / split / f"labels/{Path(name).stem}.txt", yolo_lines(objects))
    places = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    project = "roboflow:\n  workspace: w\n  project: animals\n  version: 1\n"
    put(folder / "data.yaml", f"{places}\nnc: 3\nnames: {list(CLASSES)}\n\n{project}")
    return ["train", "val"]


def yolo_labelstudio(folder):
    for name, objects in drawn(folder, "images/{}.jpg"):
        put(folder / f"labels/{name}.txt", yolo_lines(objects))
    put(folder / "classes.txt", NAMES.rstrip("\n"))
    put(folder / "notes.json", {"categories": [{"id": i, "name": c} for i, c in enumerate(CLASSES)], "info": {}})
    return []


def yolo_labelimg(folder):
    for name, objects in drawn(folder, "{}.jpg"):
        put(folder / f"{name}.txt", yolo_lines(objects))
    put(folder / "classes.txt", NAMES)
    return []


def darknet(folder):
    for split, images in TRUTH.items():
        for name, objects in drawn(folder, "data/obj/{}.jpg", images):
            put(folder / f"data/obj/{name}.txt", yolo_lines(objects))
        put(folder / f"data/{split}.txt", "".join(f"data/obj/{name}.jpg\n" for name in images))
    lists = "train = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    put(folder / "data/obj.data", f"classes = 3\n{lists}backup = backup/\n")
    put(folder / "data/obj.names", NAMES)
    return list(TRUTH)


def darknet_cvat(folder):
    for split, images in TRUTH.items():
        for name, objects in drawn(folder / f"obj_{split}_data", "{}.jpg", images):
            put(folder / f"obj_{split}_data/{name}.txt", yolo_lines(objects))
        put(folder / f"{split}.txt", "".join(f"data/obj_{split}_data/{name}.jpg\n" for name in images))
    lists = "train = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    put(folder / "obj.data", f"classes = 3\n{lists}backup = backup/\n")
    put(folder / "obj.names", NAMES)
    return list(TRUTH)


def darknet_roboflow(folder):
    for split, name, objects in roboflow(folder):
        put(folder / split / f"{Path(name).stem}.txt", yolo_lines(objects))
        put(folder / split / "_darknet.labels", NAMES)
    return list(TRUTH)


# Create ML, TFRecord


def createml_roboflow(folder):
    found = {split: [] for split in TRUTH}
    for split, name, objects in roboflow(folder):
        annotations = [
            {"label": label, "coordinates": dict(x=(x1 + x2) / 2, y=(y1 + y2) / 2, width=x2 - x1, height=y2 - y1)}
            for label, (x1, y1, x2, y2) in objects
        ]
        found[split].append({"image": name, "annotations": annotations})
    for split, entries in found.items():
        put(folder / split / "_annotations.createml.json", entries)
    return list(TRUTH)


def tfrecord_roboflow(folder):
    import tensorflow as tf

    def feature(values):
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    for split, images in TRUTH.items():
        (folder / split).mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / split / "animals.tfrecord")) as writer:
            for name, objects in images.items():
                draw(folder / "aside.jpg", objects)
                x1, y1, x2, y2 = np.divide([box for _, box in objects], SIZE * 2).T.tolist()
                fields = {
                    "image/height": [HEIGHT],
                    "image/width": [WIDTH],
                    "image/filename": [f"{name}{ROBOFLOW}.jpg".encode()],
                    "image/encoded": [(folder / "aside.jpg").read_bytes()],
                    "image/format": [b"jpeg"],
                    "image/object/bbox/xmin": x1,
                    "image/object/bbox/xmax": x2,
                    "image/object/bbox/ymin": y1,
                    "image/object/bbox/ymax": y2,
                    "image/object/class/text": [label.encode() for label, _ in objects],
                    "image/object/class/label": [CLASSES.index(label) + 1 for label, _ in objects],
                }
                features = tf.train.Features(feature={key: feature(values) for key, values in fields.items()})
                writer.write(tf.train.Example(features=features).SerializeToString())
        items = (
            f'item {{\n    name: "{c}",\n    id: {i},\n    display_name: "{c}"\n}}\n' for i, c in enumerate(CLASSES, 1)
        )
        put(folder / split / "animals_label_map.pbtxt", "".join(items))
    (folder / "aside.jpg").unlink()
    return list(TRUTH)


EXPORTS = {
    "labelme": tools.labelme,
    "via-json": tools.via_json,
    "via-project": tools.via_project,
    "via-csv": tools.via_csv,
    "csv-tensorflow": tools.csv_tensorflow,
    "csv-roboflow": tools.csv_roboflow,
    "csv-retinanet": tools.csv_retinanet,
    "openimages": tools.openimages,
    "openimages-fiftyone": tools.openimages_fiftyone,
    "kitti": tools.kitti,
    "kitti-nvidia": tools.kitti_nvidia,
    "kitti-fiftyone": tools.kitti_fiftyone,
    "cvat-images": tools.cvat_images,
    "cvat-project": tools.cvat_project,
    "cvat-tasks": tools.cvat_tasks,
    "cvat-video": tools.cvat_video,
    "voc": voc,
    "voc-cvat": voc_cvat,
    "voc-roboflow": voc_roboflow,
    "voc-labelstudio": voc_labelstudio,
    "voc-labelimg": voc_labelimg,
    "coco-2017": coco_2017,
    "coco-roboflow": coco_roboflow,
    "coco-cvat": coco_cvat,
    "coco-labelstudio": coco_labelstudio,
    "coco-fiftyone": coco_fiftyone,
    "yolo": yolo,
    "yolo-roboflow": yolo_roboflow,
    "yolo-labelstudio": yolo_labelstudio,
    "yolo-labelimg": yolo_labelimg,
    "darknet": darknet,
    "darknet-cvat": darknet_cvat,
    "darknet-roboflow": darknet_roboflow,
    "createml-roboflow": createml_roboflow,
    "tfrecord-roboflow": tfrecord_roboflow,
}


def written(root):
    """Write all of them into folders of `root`; return {name: (path, names of the splits)}."""
    found = {}
    for name, write in EXPORTS.items():
        (root / name).mkdir()
        found[name] = root / name, write(root / name)
    return found


def exports_of(known):
    """Return the names of the exports that are of a `Format`."""
    return [name for name in EXPORTS if name.partition("-")[0] == known.key]


def check_recognition(known, root):
    """Assert that a `Format` matches its own exports alone; return them all, as `written` does."""
    found = written(root)
    assert [name for name, (path, _) in found.items() if known.matches(Folder(path), "train")] == exports_of(known)
    return found


def check_export(known, name, folder):
    """Assert that a `Format` finds the splits of one of its exports, and reads each as it was written."""
    splits, source = EXPORTS[name](folder), Folder(folder)
    assert sorted(known.splits(source)) == splits
    for split in splits or [None]:
        check(known.read(source, split), split)
