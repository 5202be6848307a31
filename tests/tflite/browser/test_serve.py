"""The page that runs a .tflite in the browser: the same boxes as the device's script, in headless Chromium."""

import json
import queue
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from functools import partial
from urllib.parse import quote

import bccd_files
import cell_detector
import numpy as np
import pytest
from hostile_pages import HOSTILE
from html_page import Parts
from PIL import Image
from same_objects import differences

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
    """The server's handler, which also takes what the driver posts, and lets it run."""

    shown = queue.Queue()

    def headers_of(self, name, content):
        headers = super().headers_of(name, content)
        if name == "images/drive.html":
            del headers["Content-Security-Policy"]
        return headers

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
        one.close()


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
    assert (server.CDN.format("core") + "dist/index.js").encode() in page and b"IMPORTS" not in page
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


@pytest.mark.slow
@pytest.mark.parametrize("kind, pixels, score", [("float16", 0.1, 1e-3), ("integer", 0.5, 2 / 256)])
def test_the_page_finds_what_the_script_finds(running, litert, bccd_file, test_data, tmp_path, kind, pixels, score):
    file = bccd_file(kind)
    detector, expected = Detector(file), {}
    for source in bccd_files.pictures(test_data, 3):
        image = Image.open(source).convert("RGB")
        image.save(tmp_path / f"{source.stem}.png")
        found = detector.detect(np.asarray(image))
        expected[f"{source.stem}.png"] = [
            {"label": detector.labels[label], "score": score, "box": box}
            for label, score, box in zip(found["labels"], found["scores"], found["boxes"], strict=True)
        ]
    (tmp_path / "empty.png").touch()
    *shown, empty = browse(running(file, litert=litert, images=tmp_path), tmp_path, [*expected, "empty.png"])
    assert empty["said"].endswith("Platelets, RBC, WBC; empty.png: not an image that this browser reads")
    for one in shown:
        print(differences(json.loads(one["found"]), expected[one["name"]], pixels, score))


def put_litert(folder, script=""):
    """Put LiteRT.js into a folder: a script in its place."""
    for package in server.PACKAGES:
        (folder / package / "dist").mkdir(parents=True)
        (folder / package / "dist/index.js").write_text(script)


@pytest.mark.slow
def test_the_page_says_that_litert_is_not_there(running, cells, tmp_path):
    put_litert(tmp_path)
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
def test_the_page_says_which_integers_it_takes(running, tmp_path):
    put_litert(tmp_path, LITERT.replace("COUNT", "3"))
    file = cell_detector.write(tmp_path / "int8.tflite", "int8")
    (shown,) = browse(running(file, litert=tmp_path, images=tmp_path), tmp_path, ["none.png"])
    said = "its image is int8; LiteRT.js takes float32 and uint8: export it with --io uint8 or float32"
    assert shown["said"] == f"No model; {said}"


@pytest.mark.slow
def test_the_page_shows_hostile_names_as_text(running, tmp_path):
    labels = [*(name for name in HOSTILE if name.splitlines() == [name]), "\x1b[31m\u202e"]
    put_litert(tmp_path, LITERT.replace("COUNT", str(len(labels))))
    file = tmp_path / "m.tflite"
    settings = cell_detector.settings(model="".join(HOSTILE[:-1]))
    file.write_bytes(metadata.attach(cell_detector.networks()["float32"], settings, labels))
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    shown, missing = browse(running(file, litert=tmp_path, images=tmp_path), tmp_path, ["a.png", quote(HOSTILE[1])])
    page = Parts(shown["html"])
    assert [text for text in page.texts if text.endswith(" 0.90")] == [f"{printable(name)} 0.90" for name in labels]
    assert page.shows("".join(HOSTILE[:-1]))
    assert missing["said"].endswith(f"; images/{HOSTILE[1]}: 404 Not Found")
    for one in (page, Parts(missing["html"])):
        assert [len(tag) for tag in one.scripts()] == [2, 2] and "owned" not in one.texts  # the page's own
