"""`cspkeras data`, `evaluate` and `anchors`: what they print and write."""

import ast
import json

import pytest
from PIL import Image
from small_data import COLORS

from cspkeras.commands.main import main
from cspkeras.detection.anchors import Anchors
from cspkeras.training.evaluation.detection import SUMMARY


@pytest.mark.integration
def test_problems_in_the_data_are_logged_and_only_results_are_on_the_standard_output(models, capsys, make_voc):
    voc = make_voc(train=3)
    (voc / "JPEGImages/train1.png").unlink()
    xml = voc / "Annotations/train2.xml"
    xml.write_text(xml.read_text().replace("<name>green</name>", "<name>mauve</name>"))
    command = ["evaluate", "--model", str(models / "detector.keras"), "--data", str(voc), "--split", "train"]
    assert main([*command, "--json"]) == 0
    captured = capsys.readouterr()
    measured = json.loads(captured.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(measured) == {*SUMMARY, "images", "per_class", "confusion", "worst", "curves", "problems"}
    assert set(measured["per_class"]) == set(COLORS) and len(measured["problems"]) == 2
    missing, unknown, summary = captured.err.splitlines()
    assert missing == f"{voc}/JPEGImages/train1.jpg: missing, image left out"
    assert unknown.startswith(f"{xml}: unknown class 'mauve'")
    assert summary == f"{voc} train: 2 images, 5 boxes, 2 problems"

    assert main(command) == 0
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in table if row] == [*SUMMARY, "class", *COLORS]
    assert all(value == "-" or 0 <= float(value) <= 1 for row in table if len(row) == 2 for value in row[1:])
    assert [row[1] for row in table if row and row[0] in COLORS] == ["2", "1", "2"]


@pytest.mark.integration
def test_a_class_that_does_not_occur_is_null_in_json(models, capsys, make_voc):
    voc = make_voc(val=1)
    xml = voc / "Annotations/val0.xml"
    xml.write_text(xml.read_text().replace("<name>green</name>", "<name>red</name>"))
    assert (
        main(["evaluate", "--model", str(models / "detector.keras"), "--data", str(voc), "--split", "val", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["per_class"]["green"]["AP"] is None


@pytest.mark.integration
def test_an_evaluation_in_files(models, capsys, make_voc, tmp_path):
    command = ["evaluate", "--model", str(models / "detector.keras"), "--data", str(make_voc()), "--split", "val"]
    assert main([*command, "--output", str(tmp_path / "new/out"), "--json", "--score", "0.1", "--iou", "0.6"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "new/out/evaluation.json").read_text()) == printed
    assert (printed["confusion"]["score_threshold"], printed["confusion"]["iou_threshold"]) == (0.1, 0.6)
    page = (tmp_path / "new/out/evaluation.html").read_text()
    assert "<title>detector.keras on voc</title>" in page and "split val" in page


@pytest.mark.integration
def test_an_evaluation_where_a_file_is_in_the_way(models, one_error, tmp_path):
    (tmp_path / "out").touch()
    line = one_error("evaluate", "--model", models / "detector.keras", "--data", "voc", "--output", tmp_path / "out")
    assert line == f"cspkeras: {tmp_path}/out: is not a folder, expected one to write the evaluation into"


def coco_of(voc):
    """The Pascal VOC folder's validation images as a COCO file."""
    stored = {"images": [{"id": i, "file_name": f"JPEGImages/val{i}.png"} for i in range(2)]}
    stored["categories"] = [{"id": i, "name": name} for i, name in enumerate(("mauve", *COLORS))]
    stored["annotations"] = [
        {"image_id": i % 2, "category_id": i % 4, "bbox": [3 * i, 5, 9, 9], "area": 81, "iscrowd": 0} for i in range(8)
    ]
    (voc / "val.json").write_text(json.dumps(stored))
    return voc / "val.json"


@pytest.mark.integration
def test_a_coco_file(models, capsys, make_voc):
    path = coco_of(make_voc())
    assert main(["evaluate", "--model", str(models / "detector.keras"), "--data", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    measured = json.loads(captured.out)
    assert {name: row["objects"] for name, row in measured["per_class"].items()} == dict.fromkeys(COLORS, 2)
    unknown, summary = captured.err.splitlines()
    assert unknown == (
        f"{path}: annotations[0] of val0.png: unknown class 'mauve', left out (2 objects, the first here); "
        "known are blue, green, red"
    )
    assert summary == f"{path}: 2 images, 6 boxes, 1 problems"
    assert main(["anchors", "--data", str(path), "--images", str(path.parent), "--count", "3", "--size", "64"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"cspkeras: {path}: objects of 1 shapes, too few for 3 anchors"


@pytest.mark.integration
def test_one_file_is_not_two_splits(models, one_error, make_voc):
    path = coco_of(make_voc())
    for command in (("train",), ("quantize", "--model", models / "detector.keras")):
        line = one_error(*command, "--data", path)
        assert line == f"cspkeras: --data {path}: one file is one split, expected a folder that holds two"


def test_anchors_of_a_data_set(capsys, make_voc):
    command = ["anchors", "--data", str(make_voc()), "--size", "128", "--generations", "50"]
    assert main([*command, "--count", "6"]) == 0
    out = capsys.readouterr().out
    header, *rows = out.splitlines()[:4]
    assert header.split() == ["mean", "best", "IoU", "best", "possible", "recall"]
    fits = {row[:20].strip(): [float(value) for value in row[20:].split()] for row in rows}
    assert list(fits) == ["published", "k-means", "50 generations"]
    assert fits["published"][0] < fits["k-means"][0] <= fits["50 generations"][0] <= 1
    assert all(0 <= recall <= 1 for _, recall in fits.values())
    darknet, python = (line.split(" = ")[1] for line in out.splitlines()[-2:])
    pairs = ast.literal_eval(python)
    assert len(pairs) == 6 and [float(value) for value in darknet.split(",")] == [v for pair in pairs for v in pair]
    assert Anchors.of(pairs, (128, 128)).pairs.tolist() == [pytest.approx(pair) for pair in pairs]


def test_a_number_of_anchors_that_the_levels_do_not_share(capsys, make_voc):
    assert main(["anchors", "--data", str(make_voc()), "--count", "4", "--size", "64"]) == 1
    captured = capsys.readouterr()
    assert not captured.out and "must be a multiple of 3 pairs" in captured.err.splitlines()[-1]


def data_command(capsys, *arguments):
    status = main(["data", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


def test_a_clean_data_set_is_checked(capsys, make_voc, tmp_path):
    status, out, err = data_command(capsys, "check", make_voc(), "--sheet", tmp_path / "sheet.png")
    assert status == 0 and err == [str(tmp_path / "sheet.png")]
    assert out.pop(0).endswith("/voc: Pascal VOC folder; train, val; 8 images, 24 boxes, 3 classes")
    assert out[0].startswith("train: 6 images of 64 x 48 pixels, 0 without objects, 18 boxes (18 small, ")
    assert out[4].startswith("val: 2 images") and out[1].split()[:4] == ["blue", "6", "boxes", "in"]
    assert out[8:12] == [
        "left out or cut by the reader: none",
        "broken images: none",
        "damaged images, which are used: none",
        "leaks: the same image in several splits: none",
    ]
    assert Image.open(tmp_path / "sheet.png").width > 500


def test_what_is_broken_in_a_data_set(capsys, make_voc):
    voc = make_voc()
    (voc / "JPEGImages/val1.png").write_bytes((voc / "JPEGImages/train2.png").read_bytes())
    Image.effect_noise((64, 48), 90).save(voc / "JPEGImages/train0.jpg")  # whose header is whole, in place of the .png
    (voc / "JPEGImages/train0.jpg").write_bytes((voc / "JPEGImages/train0.jpg").read_bytes()[:-500])
    (voc / "ImageSets/Main/odd.txt").write_text("")
    xml = voc / "Annotations/train1.xml"
    xml.write_text(xml.read_text().replace("<xmin>", "<xmin>NaN", 1))
    status, out, _ = data_command(capsys, "check", voc, "--json")
    found = json.loads("\n".join(out))
    assert "/JPEGImages/train0.png: an image that is in no list" in found["unused"][0]  # the JPEG is read in its place
    assert status == 1 and not found["passed"] and set(found["splits"]) == {"train", "val"}
    assert found["leaks"] == [["train/train2.png", "val/val1.png"]]
    assert [line.split(": ")[0] for line in found["problems"]] == [f"{voc}/ImageSets/Main/odd.txt", str(xml)]
    assert [line.split(": ")[0] for line in found["broken"]] == [f"{voc}/JPEGImages/train0.jpg"]
    status, out, _ = data_command(capsys, "check", voc, "--split", "val")
    assert status == 0 and out[1].startswith("val: ")


@pytest.mark.integration
def test_a_data_set_is_packed_and_used(capsys, make_voc, models, tmp_path):
    voc, packed = make_voc(), tmp_path / "packed"
    (voc / "Annotations/val0.xml").write_text((voc / "Annotations/val0.xml").read_text().replace("red", "mauve"))
    (voc / "Annotations/val1.xml").write_text((voc / "Annotations/val1.xml").read_text().replace("red", "mauve"))
    status, out, err = data_command(capsys, "pack", voc, "--output", packed, "--shards", 2)
    files = [packed / f"{split}-0000{i}-of-00002.tfrecord" for split in ("train", "val") for i in range(2)]
    assert status == 0 and out == list(map(str, files))
    assert err == [f"{voc} train: 6 images, 18 boxes, 0 problems", f"{voc} val: 2 images, 6 boxes, 0 problems"]
    assert (packed / "label_map.pbtxt").read_text().count("item") == 4  # the classes of both
    command = ["evaluate", "--model", str(models / "detector.keras"), "--split", "train", "--json", "--data"]
    assert main([*command, str(packed)]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["images"] == 6 and not measured["problems"]
    assert {row["image"] for row in measured["worst"]} == {f"train{i}.png" for i in range(6)}
    status, out, err = data_command(capsys, "pack", voc, "--output", packed, "--shards", 3)
    assert status == 1 and not out
    assert err[-1].startswith(f"cspkeras: {files[0]}: is of the same split and would stay")


def test_classes_in_place_of_boxes(capsys, one_error, tmp_path):
    for split in ("train", "val"):
        for name in COLORS:
            (tmp_path / "folder" / split / name).mkdir(parents=True)
            Image.effect_noise((20, 20), 90).save(tmp_path / "folder" / split / name / "a.png")
    folder = tmp_path / "folder"
    status, out, _ = data_command(capsys, "check", folder, "--sheet", tmp_path / "sheet.png")
    assert status == 0 and out[0] == f"{folder}: folder of classes; train, val; 6 images, 3 classes"
    assert out[1:3] == ["train: 3 images of 20 x 20 pixels", "    blue        1 images"]
    status, _, err = data_command(capsys, "pack", folder, "--output", tmp_path / "packed")
    assert status == 0 and err[0] == f"{folder} train: 3 images, 3 classes, 0 problems"
    for path in (folder, tmp_path / "packed"):
        assert main(["anchors", "--data", str(path), "--split", "val"]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"cspkeras: {path}: images with a class each, expected a data set with boxes"
    line = one_error("train", "--data", folder / "train", "--run", tmp_path / "run")
    assert line.startswith(f"cspkeras: --data {folder}/train: has no splits, expected a data set with train and val")


def test_what_is_not_a_data_set(one_error, tmp_path):
    (tmp_path / "file.txt").touch()
    for command in (("check",), ("pack", "--output", tmp_path / "packed")):
        line = one_error("data", *command, tmp_path / "file.txt")
        assert line.startswith(f"cspkeras: {tmp_path}/file.txt: no data set; expected ImageSets/Main or XML")
        assert one_error("data", *command, tmp_path / "gone").endswith(
            "missing; expected a data set: a folder or a file"
        )
    assert "invalid" in one_error("data", "fly") and "must be at least 1" in one_error(
        "data", "pack", "x", "--output", "y", "--shards", "0"
    )
