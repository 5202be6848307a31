"""The page that runs a .tflite in the browser: the same boxes as the device's script, in headless Chromium."""

import json
import queue
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import quote

import cell_detector
import numpy as np
import pytest
from hostile_pages import HOSTILE
from html_page import Parts
from PIL import Image

from cspkeras.tflite import convert
from cspkeras.tflite.browser import server
from cspkeras.tflite.device.detect import Detector
from cspkeras.tflite.device.printing import printable
from cspkeras.tflite.export import metadata

# Opens the page for each image and posts what it shows; it lies among the images, on the page's own server.
DRIVER = """<!doctype html><iframe></iframe><script type="module">
const frame = document.querySelector("iframe");
const said = () => ["about", "error"].map((id) => frame.contentDocument.getElementById(id).textContent).join("; ");
for (const name of NAMES) {
  frame.src = `/?image=images/${name}`;
  let shown;
  while (!shown?.found && !shown?.error) {
    await new Promise((resume) => setTimeout(resume, 100));
    shown = frame.contentDocument?.documentElement?.dataset;
  }
  const html = frame.contentDocument.documentElement.outerHTML;
  await fetch("/", {method: "POST", body: JSON.stringify({name, ...shown, said: said(), html})});
  delete shown.found;
}
</script>"""


class Listener(server._Handler):
    """The server's handler, which also takes what the driver posts."""

    shown = queue.Queue()

    def do_POST(self):
        self.shown.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()


@pytest.fixture
def running():
    """Start a server with `make_server`'s arguments and return its address."""
    servers = []

    def run(*arguments, **options):
        one = server.make_server(*arguments, port=0, **options)
        one.RequestHandlerClass = partial(Listener, *one.RequestHandlerClass.args)
        threading.Thread(target=one.serve_forever, daemon=True).start()
        servers.append(one)
        return f"http://127.0.0.1:{one.server_port}/"

    yield run
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return cell_detector.write(tmp_path_factory.mktemp("model") / "cells.tflite")


@pytest.fixture(scope="session")
def litert(tmp_path_factory):
    """LiteRT.js from npm, in a folder of its own."""
    if not shutil.which("npm"):
        pytest.skip("no npm, which brings LiteRT.js")
    folder = tmp_path_factory.mktemp("npm")
    packages = [f"@litertjs/{name}@{server.VERSION}" for name in server.PACKAGES]
    subprocess.run(["npm", "install", "--silent", "--prefix", folder, *packages], check=True, timeout=300)
    return folder / "node_modules/@litertjs"


def get(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.status, answer.headers, answer.read()


@pytest.mark.integration
def test_what_is_served(running, cells, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path.parent / "secret.txt").write_text("no")
    address = running(cells, images=tmp_path)
    _, headers, page = get(address)
    assert headers["Content-Type"] == "text/html"
    assert server.CDN.format("core").encode() in page and b"IMPORTS" not in page
    assert get(f"{address}model.tflite")[2] == cells.read_bytes()
    assert get(f"{address}detector.js")[1]["Content-Type"] == "text/javascript"
    assert get(f"{address}images/a.txt")[2] == b"a"
    for path in ("none.js", "images/none", "images/../secret.txt", "litert/core/dist/index.js", "../server.py"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(address + path)


@pytest.mark.integration
@pytest.mark.parametrize("name, words", [("bare", "no cspkeras settings"), ("text", "not a .tflite"), ("none", "none")])
def test_a_file_that_cannot_be_served(models, one_error, name, words):
    assert words in one_error("serve", models / f"{name}.tflite", "--port", "0")


def test_what_is_not_there(cells, one_error, running, tmp_path):
    assert "no LiteRT.js" in one_error("serve", cells, "--litert", tmp_path)
    port = running(cells).rstrip("/").rpartition(":")[2]
    assert f"port {port} can't be used" in one_error("serve", cells, "--port", port)


def browse(address, folder, names):
    """What headless Chromium finds and says on the page at an address, for each image of that page's folder."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not chromium:
        pytest.skip("no chromium")
    (folder / "drive.html").write_text(DRIVER.replace("NAMES", json.dumps(names)))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"{address}images/drive.html"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return [Listener.shown.get(timeout=90) for _ in names]
    finally:
        browser.terminate()
        browser.wait(timeout=30)


@pytest.mark.integration
@pytest.mark.skipif(not shutil.which("node"), reason="no node, which runs the page's code")
@pytest.mark.parametrize(
    "size, wanted",
    [
        pytest.param((233, 131), (77, 43), id="smaller"),
        pytest.param((31, 17), (64, 40), id="larger"),
        pytest.param((90, 20), (7, 33), id="narrower and higher"),
        pytest.param((50, 24), (50, 9), id="one side alone"),
        pytest.param((40, 30), (1, 1), id="to a pixel"),
        pytest.param((1, 1), (5, 4), id="from a pixel"),
        pytest.param((12, 10), (12, 10), id="as it is"),
    ],
)
def test_the_page_resizes_as_pillow_does(size, wanted):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 4), np.uint8)
    pixels[: size[1] // 3] = 255  # the rounded weights' sum must not carry white over
    code = (Path(server.__file__).parent / "page/resize.js").read_text()
    code += f"console.log(JSON.stringify([...resize({pixels.ravel().tolist()}, {[*size]}, {[*wanted]})]));"
    run = subprocess.run(["node", "--input-type=module"], input=code, capture_output=True, text=True, check=True)
    resized = np.reshape(json.loads(run.stdout), (*wanted[::-1], 4))[:, :, :3]
    expected = Image.fromarray(pixels[:, :, :3]).resize(wanted, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resized, np.asarray(expected))


@pytest.mark.slow
def test_the_page_finds_what_the_script_finds(running, litert, test_data, tmp_path):
    import cspkeras

    file = convert(cspkeras.YOLOXNano(weights="bccd"), tmp_path / "bccd.tflite")
    detector, expected = Detector(file), {}
    for source in sorted(Path(test_data, "data/bccd/JPEGImages").iterdir())[:3]:
        image = Image.open(source).convert("RGB")
        image.save(tmp_path / f"{source.stem}.png")
        expected[f"{source.stem}.png"] = detector.detect(np.asarray(image))
    (tmp_path / "empty.png").touch()
    *shown, empty = browse(running(file, litert=litert, images=tmp_path), tmp_path, [*expected, "empty.png"])
    assert empty["said"].endswith("Platelets, RBC, WBC; empty.png: not an image that this browser reads")
    for one in shown:
        _compare(json.loads(one["found"]), expected[one["name"]], detector.labels)


@pytest.mark.slow
def test_the_page_says_that_litert_is_not_there(running, cells, tmp_path):
    for package in server.PACKAGES:
        (tmp_path / package / "dist").mkdir(parents=True)
        (tmp_path / package / "dist/index.js").touch()
    (shown,) = browse(running(cells, litert=tmp_path, images=tmp_path), tmp_path, ["none.png"])
    assert shown["said"].startswith("No model; LiteRT.js can't be loaded")


LITERT = """export const loadLiteRt = async () => {};
export class Tensor { delete() {} }
const answers = {boxes: [0.5, 0.5, 0.5, 0.5], scores: Array(COUNT).fill(0.9)};
const output = (values) => ({data: async () => Float32Array.from(values), delete() {}});
export const loadAndCompile = async () => ({
  getInputDetails: () => [{dtype: "float32", name: "image", shape: [1, 64, 96, 3]}],
  getOutputDetails: () => Object.keys(answers).map((name) => ({name})),
  run: async () => Object.fromEntries(Object.entries(answers).map(([name, values]) => [name, output(values)])),
});"""  # finds one object of each class


@pytest.mark.slow
def test_the_page_shows_hostile_names_as_text(running, tmp_path):
    labels = [*(name for name in HOSTILE if name.splitlines() == [name]), "\x1b[31m\u202e"]
    for package in server.PACKAGES:
        (tmp_path / package / "dist").mkdir(parents=True)
        (tmp_path / package / "dist/index.js").write_text(LITERT.replace("COUNT", str(len(labels))))
    file = tmp_path / "m.tflite"
    settings = cell_detector.settings(model="".join(HOSTILE[:-1]))
    file.write_bytes(metadata.attach(b"\x1c\0\0\0TFL3" + bytes(99), settings, labels))
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    shown, missing = browse(running(file, litert=tmp_path, images=tmp_path), tmp_path, ["a.png", quote(HOSTILE[1])])
    page = Parts(shown["html"])
    assert [text for text in page.texts if text.endswith(" 0.90")] == [f"{printable(name)} 0.90" for name in labels]
    assert page.shows("".join(HOSTILE[:-1]))
    assert missing["said"].endswith(f"; images/{HOSTILE[1]}: 404 Not Found")
    for one in (page, Parts(missing["html"])):
        assert [len(tag) for tag in one.scripts()] == [2, 2] and "owned" not in one.texts  # the page's own


def _compare(found, wanted, labels, pixels=0.1, score=1e-3):
    """Each sure box of one has a like of the same class in the other."""
    ours = [(one["label"], one["score"], np.array(one["box"])) for one in found]
    theirs = list(zip((labels[i] for i in wanted["labels"]), wanted["scores"], wanted["boxes"], strict=True))
    assert len(theirs) >= 5
    for these, others in ((ours, theirs), (theirs, ours)):
        for label, likely, box in these:
            assert likely < 0.25 + score or any(
                label == other and abs(likely - certain) < score and np.abs(box - near).max() < pixels
                for other, certain, near in others
            ), (label, likely, box)
