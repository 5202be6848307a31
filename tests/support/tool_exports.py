"""Small data sets as labelme, the VGG Image Annotator and CVAT write them, as tables, and as Open Images and KITTI."""

import csv
import json

import numpy as np
from export_truth import CLASSES, HEIGHT, SIZE, TRUTH, WIDTH, draw, drawn, put, put_csv, roboflow

# labelme, the VGG Image Annotator, tables


def labelme(folder):
    for split, images in TRUTH.items():
        for name, objects in drawn(folder / split, "{}.jpg", images):
            shapes = [
                {
                    "label": label,
                    "points": [[x1, y1], [x2, y2]],
                    "group_id": None,
                    "shape_type": "rectangle",
                    "flags": {},
                }
                for label, (x1, y1, x2, y2) in objects
            ]
            entry = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
            put(folder / split / f"{name}.json", entry | {"imageHeight": HEIGHT, "imageWidth": WIDTH})
    return list(TRUTH)


def via_entry(name, objects):
    regions = [
        {
            "shape_attributes": dict(name="rect", x=x1, y=y1, width=x2 - x1, height=y2 - y1),
            "region_attributes": {"class": label},
        }
        for label, (x1, y1, x2, y2) in objects
    ]
    return {f"{name}.jpg1234": dict(filename=f"{name}.jpg", size=1234, regions=regions, file_attributes={})}


def via_json(folder):
    for split, images in TRUTH.items():
        entries = {}
        for name, objects in drawn(folder / split, "{}.jpg", images):
            entries |= via_entry(name, objects)
        put(folder / split / "via_region_data.json", entries)
    return list(TRUTH)


def via_project(folder):
    entries = {}
    for name, objects in drawn(folder / "images", "{}.jpg"):
        entries |= via_entry(name, objects)
    settings = {"ui": {}, "core": {"default_filepath": "./images/"}, "project": {"name": "animals"}}
    attributes = {"region": {"class": {"type": "dropdown", "options": dict.fromkeys(CLASSES, "")}}, "file": {}}
    put(
        folder / "animals.json",
        {"_via_settings": settings, "_via_img_metadata": entries, "_via_attributes": attributes},
    )
    return []


def via_csv(folder):
    columns = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    rows = [columns.split(",")]
    for name, objects in drawn(folder, "{}.jpg"):
        (entry,) = via_entry(name, objects).values()
        for i, region in enumerate(entry["regions"]):
            texts = (json.dumps(region[key]) for key in ("shape_attributes", "region_attributes"))
            rows.append([entry["filename"], 1234, "{}", len(objects), i, *texts])
    put_csv(folder / "via_export_csv.csv", rows)
    return []


TENSORFLOW = "filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"


def csv_tensorflow(folder):
    for split, images in TRUTH.items():
        rows = [TENSORFLOW]
        for name, objects in drawn(folder / "images" / split, "{}.jpg", images):
            rows += [[f"{name}.jpg", *SIZE, label, *box] for label, box in objects]
        put_csv(folder / "data" / f"{split}_labels.csv", rows)
    return list(TRUTH)


def csv_roboflow(folder):
    for split, name, objects in roboflow(folder):
        path = folder / split / "_annotations.csv"
        rows = [] if path.exists() else [TENSORFLOW]
        rows += [[name, *SIZE, label, *box] for label, box in objects]
        with open(path, "a", newline="") as file:
            csv.writer(file).writerows(rows)
    return list(TRUTH)


def csv_retinanet(folder):
    for split, images in TRUTH.items():
        rows = []
        for name, objects in drawn(folder / "images", "{}.jpg", images):
            rows += [[f"images/{name}.jpg", *box, label] for label, box in objects]
        put_csv(folder / f"{split}.csv", rows)
    put_csv(folder / "classes.csv", zip(CLASSES, range(3), strict=True))
    return list(TRUTH)


# Open Images, KITTI


OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
MIDS = {"cat": "/m/01yrx", "dog": "/m/0bt9lr", "owl": "/m/09d5_"}


def open_images_row(name, label, box):
    x1, y1, x2, y2 = np.divide(box, SIZE * 2).round(6)
    return [name, "xclick", MIDS[label], 1, x1, x2, y1, y2, 0, 0, 0, 0, 0]


def openimages(folder):
    for split, images in {"train": TRUTH["train"], "validation": TRUTH["valid"]}.items():
        rows = [OPEN_IMAGES.split(",")]
        for name, objects in drawn(folder / split, "{}.jpg", images):
            rows += [open_images_row(name, *thing) for thing in objects]
        put_csv(folder / f"{split}-annotations-bbox.csv", rows)
    put_csv(folder / "class-descriptions-boxable.csv", [(MIDS[label], label) for label in CLASSES])
    return ["train", "validation"]


def openimages_fiftyone(folder):
    for split, images in {"train": TRUTH["train"], "validation": TRUTH["valid"]}.items():
        rows = [OPEN_IMAGES.split(",")]
        for name, objects in drawn(folder / split / "data", "{}.jpg", images):
            rows += [open_images_row(name, *thing) for thing in objects]
        put_csv(folder / split / "labels/detections.csv", rows)
        put_csv(folder / split / "labels/classifications.csv", [["ImageID", "Source", "LabelName", "Confidence"]])
        put_csv(folder / split / "metadata/classes.csv", [(MIDS[label], label) for label in CLASSES])
    return ["train", "validation"]


def kitti_line(label, box):
    return " ".join(
        [label, "0.00 0 -1.57", *(f"{value:.2f}" for value in box), "1.65 1.67 3.64 -0.65 1.71 46.70 -1.59"]
    )


def kitti(folder):
    for name, objects in TRUTH["train"].items():
        for eye in (2, 3):
            draw(folder / f"training/image_{eye}/{name}.png", objects)
        put(folder / f"training/calib/{name}.txt", f"P0: {' '.join(['7.215377e+02'] * 12)}\n")
        put(folder / f"training/label_2/{name}.txt", "".join(f"{kitti_line(*thing)}\n" for thing in objects))
    drawn(folder, "testing/image_2/{}.png", TRUTH["valid"])
    return ["training"]


def kitti_nvidia(folder):
    for name, objects in drawn(folder, "images/{}.jpg"):
        put(folder / f"labels/{name}.txt", "\n".join(kitti_line(*thing) for thing in objects))
    return []


def kitti_fiftyone(folder):
    for split, images in TRUTH.items():
        for name, objects in drawn(folder / split, "data/{}.jpg", images):
            put(folder / split / f"labels/{name}.txt", "\n".join(kitti_line(*thing) for thing in objects))
    return list(TRUTH)


# CVAT


CVAT = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  {}\n{}</annotations>\n'


def cvat_meta(more=""):
    labels = "".join(f"<label><name>{label}</name><type>any</type></label>" for label in reversed(CLASSES))
    return f"<meta><task><name>animals</name><labels>{labels}</labels>{more}</task></meta>"


def cvat_image(i, name, objects, more=""):
    boxes = "".join(
        f'    <box label="{label}" source="manual" occluded="0" xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" '
        f'ybr="{y2:.2f}" z_order="0">\n      <attribute name="tame">false</attribute>\n    </box>\n'
        for label, (x1, y1, x2, y2) in objects
    )
    return f'  <image id="{i}" name="{name}" {more}width="{WIDTH}" height="{HEIGHT}">\n{boxes}  </image>\n'


def cvat_images(folder):
    images = ""
    for i, (name, objects) in enumerate(drawn(folder, "images/{}.jpg")):
        images += cvat_image(i, f"{name}.jpg", objects)
    put(folder / "annotations.xml", CVAT.format(cvat_meta(), images))
    return []


def cvat_project(folder):
    images = ""
    for split, names in {"Train": TRUTH["train"], "Validation": TRUTH["valid"]}.items():
        for i, (name, objects) in enumerate(drawn(folder / "images" / split, "{}.jpg", names)):
            images += cvat_image(i, f"{name}.jpg", objects, f'subset="{split}" task_id="{len(split)}" ')
    put(folder / "annotations.xml", CVAT.format(cvat_meta(), images))
    return ["train", "validation"]


def cvat_tasks(folder):
    for split, names in TRUTH.items():
        images = ""
        for i, (name, objects) in enumerate(drawn(folder / split, "images/{}.jpg", names)):
            images += cvat_image(i, f"{name}.jpg", objects)
        put(folder / split / "annotations.xml", CVAT.format(cvat_meta(), images))
    return list(TRUTH)


def cvat_video(folder):
    tracks, number = "", 0
    for frame, (_, objects) in enumerate(drawn(folder, "images/{}.PNG")):
        for label, (x1, y1, x2, y2) in objects:
            box = f'    <box frame="{{}}" keyframe="1" outside="{{}}" occluded="0" xtl="{x1}" ytl="{y1}" xbr="{x2}" '
            box += f'ybr="{y2}" z_order="0">\n    </box>\n'
            boxes = box.format(frame, 0) + box.format(frame + 1, 1)
            tracks += f'  <track id="{number}" label="{label}" source="manual">\n{boxes}  </track>\n'
            number += 1
    size = f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>"
    put(folder / "annotations.xml", CVAT.format(cvat_meta(size), tracks))
    return []
