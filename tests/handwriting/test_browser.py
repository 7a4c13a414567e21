"""A digit drawn in JupyterLab, in a real browser, is read; skipped where there is no Chromium."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect, sync_playwright
from torch.optim.lr_scheduler import OneCycleLR

from mnistkit.checkpoints import save_state
from mnistkit.data import load_digits
from mnistkit.experiments.run import train_recipe
from mnistkit.handwriting.photographs import STROKES
from mnistkit.study.plan import FAST
from tests.browser import LAUNCH, NEEDS_BROWSER

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "mnistkit-tests"
PATIENCE = 120_000  # milliseconds: a machine may be slow, and other work may run on it

pytestmark = NEEDS_BROWSER

SHOW = """\
from mnistkit import build_model, draw_digit, load_state
model = load_state(build_model("FastCNN"), "weights.pt")
canvas = draw_digit(model, normalized=True)
canvas"""
FAIL = """\
import torch

class Moody(torch.nn.Linear):
    calls = 0
    def forward(self, images):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("not today")
        return super().forward(images.flatten(1))

draw_digit(Moody(784, 10))"""
STALE = """\
answer = dict(canvas.answer)
canvas.answer = answer | {"number": answer["number"] - 1, "words": "stale"}"""
FRESH = 'canvas.answer = answer | {"words": "fresh"}'
READ = "at_once = draw_digit()\nat_once"  # a network that the page has, too
BUSY = "import time\ntime.sleep(3600)"
CELLS = [SHOW, "print(canvas.prediction)", "canvas", STALE, FRESH, FAIL,
         READ, BUSY, "print(at_once.prediction)"]  # fmt: skip


# --- a JupyterLab of its own ----------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A notebook, and a model trained for seconds on the sample."""
    folder = tmp_path_factory.mktemp("lab")
    digits = load_digits("sample", validation_size=0)
    steps = 5 * -(-len(digits.train) // FAST.batch_size)
    rate = partial(OneCycleLR, max_lr=0.01, total_steps=steps, pct_start=0.2, div_factor=10)
    model, _ = train_recipe(replace(FAST, epochs=5, scheduler=rate), digits, progress=False)
    (folder / "files").mkdir()
    save_state(model, folder / "files" / "weights.pt")
    spec = {"name": KERNEL, "display_name": KERNEL, "language": "python"}
    cells = [new_code_cell(source) for source in CELLS]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(notebook, folder / "files" / "draw.ipynb")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """The address of a JupyterLab that reads and writes nothing outside that folder."""
    rooms = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython",
    }  # fmt: skip
    _write_kernel(folder / "data" / "kernels" / KERNEL)
    _write_settings(folder / "settings" / "@jupyterlab")
    address = f"http://127.0.0.1:{_free_port()}"
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
        f"--ServerApp.port={address.rsplit(':')[-1]}", "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder / 'files'}", "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    environment = os.environ | {name: str(folder / room) for name, room in rooms.items()}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"{address}/api", process, folder / "log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def _write_kernel(folder: Path) -> None:
    """A kernel of this Python that imports this mnistkit."""
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    spec = {"argv": argv, "display_name": KERNEL, "language": "python", "env": environment}
    (folder / "kernel.json").write_text(json.dumps(spec))


def _write_settings(folder: Path) -> None:
    """No questions about news, which need a network; all cells on the page, in view or not."""
    for plugin, settings in {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "notebook-extension/tracker": {"windowingMode": "none"},
    }.items():
        path = folder / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        try:
            urlopen(address, timeout=10).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


# --- a page with the canvas -----------------------------------------------------------

READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.isReady && context.session?.kernel;
  return kernel && kernel.connectionStatus === "connected" && kernel.status === "idle";
}"""

END_SESSION = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()"


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """What the page said to its console, of what concerns widgets."""
    return []


@pytest.fixture(scope="module")
def page(server, complaints):
    """The notebook in a browser with mouse and touch, its first cell run."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        page = browser.new_context(
            viewport={"width": 1200, "height": 1000}, has_touch=True
        ).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: _note(str(error.stack), complaints))
        page.on("console", lambda m: m.type == "error" and _note(m.text, complaints))
        page.goto(f"{server}/lab/tree/draw.ipynb?reset")
        page.wait_for_function(READY)
        command(page, "application:toggle-left-area")
        run_cell(page, 0)
        expect(page.locator(".mnistkit-draw")).to_be_visible()
        yield page
        browser.close()


def _note(text: str, complaints: list[str]) -> None:
    """Keep what concerns widgets: their code comes from a blob. JupyterLab has its own faults."""
    if any(word in text.lower() for word in ("blob:", "widget", "mnistkit")):
        complaints.append(text)


@pytest.fixture(autouse=True)
def _no_complaints(complaints):
    yield
    assert complaints == []


@pytest.fixture
def canvas(page):
    """The widget of the first cell, with nothing drawn."""
    canvas = page.locator(".mnistkit-draw").first
    canvas.locator(".clear").click()
    expect_words(canvas, "Nothing is drawn yet: write a digit from 0 to 9.")
    return canvas


def command(page: Page, name: str, arguments: dict | None = None) -> None:
    page.evaluate(
        "([name, arguments]) => { window.jupyterapp.commands.execute(name, arguments); }",
        [name, arguments or {}],
    )


def run_cell(page: Page, place: int) -> Locator:
    """Run a cell, and return it when it is done."""
    cell = begin_cell(page, place)
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]"))
    return cell


def said_by(page: Page, place: int) -> str:
    """Run a cell that prints one line, and return it."""
    printed = run_cell(page, place).locator(".jp-OutputArea-output")
    expect(printed).to_have_text(re.compile("."))
    return printed.inner_text().strip()


def begin_cell(page: Page, place: int) -> Locator:
    page.evaluate(
        "(place) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = place; }",
        place,
    )
    command(page, "notebook:run-cell")
    return page.locator(".jp-Notebook .jp-CodeCell").nth(place)


def expect_words(canvas: Locator, words: str | re.Pattern) -> None:
    """Wait for words that are seen, and for the same where a screen reader finds them."""
    expect(canvas.locator(".words")).to_have_text(words)
    expect(canvas.locator(".spoken")).to_have_text(words)


# --- drawing --------------------------------------------------------------------------


def path_of(canvas: Locator, digit: int, x: float = 0.5, height: float = 0.65) -> list[list]:
    """Strokes of a digit in pixels of the page; x: its middle, in widths of the paper."""
    canvas.locator(".paper").scroll_into_view_if_needed()
    box = canvas.locator(".paper").bounding_box()
    return [
        [
            (
                box["x"] + box["width"] * (x + (u - 0.35) * height),
                box["y"] + box["height"] * (0.5 + (v - 0.5) * height),
            )
            for u, v in stroke
        ]
        for stroke in STROKES[digit]
    ]


def draw_with_mouse(page: Page, strokes: list[list]) -> None:
    for stroke in strokes:
        page.mouse.move(*stroke[0])
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*point, steps=3)
        page.mouse.up()


def draw_with_finger(page: Page, strokes: list[list], others: list[tuple] = ()) -> None:
    """Touch the screen, as Chromium is told by a device; others: fingers that rest on it."""
    device = page.context.new_cdp_session(page)
    rest = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(others, start=1)]

    def touch(kind: str, points: list) -> None:
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for stroke in strokes:
        for place, (x, y) in enumerate(stroke):
            touch("touchMove" if place else "touchStart", [{"x": x, "y": y, "id": 0}])
            if not place and rest:
                touch("touchStart", [{"x": x, "y": y, "id": 0}, *rest])
        touch("touchEnd", [])
    device.detach()


def shares(canvas: Locator) -> list[str]:
    return canvas.locator(".share").all_inner_texts()


def ink_seen(canvas: Locator) -> int:
    """Pixels with ink in the picture that the network sees."""
    return canvas.locator(".picture").evaluate("""(picture) => {
      const { data } = picture.getContext("2d").getImageData(0, 0, 28, 28);
      return data.filter((value, place) => place % 4 === 3 && value).length;
    }""")


def stroke_count(canvas: Locator) -> int:
    return canvas.locator(".paper path").count()


@pytest.mark.parametrize("digit", [0, 4, 7])
def test_a_digit_drawn_with_the_mouse_is_read(page, canvas, digit):
    draw_with_mouse(page, path_of(canvas, digit))
    expect_words(canvas, re.compile(rf"^The network reads: {digit} \(\d+\.\d%\)$"))
    best = canvas.locator(".bars .best")
    expect(best.locator(".digit")).to_have_text(str(digit))
    words = canvas.locator(".words").inner_text()
    assert best.locator(".share").inner_text().removesuffix(" %") in words
    assert sum(float(share.removesuffix(" %")) for share in shares(canvas)) == pytest.approx(
        100, abs=1
    )
    assert 40 < ink_seen(canvas) < 400
    assert stroke_count(canvas) == len(STROKES[digit])
    rows = canvas.locator(".bars li")
    assert rows.evaluate_all("(rows) => new Set(rows.map((row) => row.offsetHeight)).size") == 1


def test_the_next_cell_has_the_answer(page, canvas):
    draw_with_mouse(page, path_of(canvas, 3))
    expect_words(canvas, re.compile("reads: 3"))
    printed = run_cell(page, 1).locator(".jp-OutputArea-output")
    expect(printed).to_have_text(canvas.locator(".words").inner_text().split(": ")[1])


def test_bars_follow_the_pen_and_words_are_spoken_when_it_is_lifted(page, canvas):
    (stroke,) = path_of(canvas, 2)
    half = len(stroke) // 2
    page.mouse.move(*stroke[0])
    page.mouse.down()
    for point in stroke[1:half]:
        page.mouse.move(*point)
    expect(canvas.locator(".words")).to_have_text(re.compile("reads"))
    before = shares(canvas)
    for point in stroke[half:]:
        page.mouse.move(*point)
    expect(canvas.locator(".words")).to_have_text(re.compile("reads: 2"))
    assert shares(canvas) != before
    assert "reads" not in canvas.locator(".spoken").inner_text()
    page.mouse.up()
    expect_words(canvas, re.compile("reads: 2"))


def test_a_stroke_that_leaves_the_paper_goes_on_at_its_edge(page, canvas):
    box = canvas.locator(".paper").bounding_box()
    middle = box["x"] + box["width"] / 2
    draw_with_mouse(page, [[(middle, box["y"] + 40), (middle, box["y"] + box["height"] + 60)]])
    assert stroke_count(canvas) == 1
    path = canvas.locator(".paper path").get_attribute("d")
    points = [float(value) for value in re.findall(r"[\d.]+", path)]
    assert max(points) == 1000
    expect_words(canvas, re.compile("reads"))


def test_a_dot_is_ink_but_no_digit(page, canvas):
    box = canvas.locator(".paper").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect_words(canvas, re.compile("^No answer: .* too small for a digit$"))
    path = canvas.locator(".paper path").get_attribute("d")
    assert re.fullmatch(r"M (\d+ \d+) L \1", path)


def test_other_buttons_draw_nothing(page, canvas):
    expect(canvas.locator(".hint")).to_be_hidden()
    box = canvas.locator(".paper").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down(button="middle")
    page.mouse.move(box["x"] + 50, box["y"] + 200)
    page.mouse.up(button="middle")
    assert stroke_count(canvas) == 0


def test_a_finger_draws_and_does_not_scroll(page, canvas):
    draw_with_finger(page, path_of(canvas, 7))
    expect_words(canvas, re.compile("reads: 7"))
    assert stroke_count(canvas) == 1


def test_a_resting_palm_draws_nothing(page, canvas):
    box = canvas.locator(".paper").bounding_box()
    palm = [(box["x"] + 0.9 * box["width"], box["y"] + 0.9 * box["height"])]
    draw_with_finger(page, path_of(canvas, 0), palm)
    expect_words(canvas, re.compile("reads: 0"))
    assert stroke_count(canvas) == 1


def test_keys_draw_and_are_kept_from_the_notebook(page, canvas):
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    canvas.locator(".undo").focus()
    page.keyboard.press("Shift+Tab")
    expect(canvas.locator(".pens input:checked")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(canvas.locator(".paper")).to_be_focused()
    expect(canvas.locator(".mark")).to_be_visible()
    expect(canvas.locator(".hint")).to_be_visible()
    for key in ["d", "d", "b", " ", *["ArrowDown"] * 12, " ", "ArrowUp"]:
        page.keyboard.press(key)
    expect_words(canvas, re.compile("reads: 1"))
    assert canvas.locator(".paper path").get_attribute("d").endswith("L 500 730")
    page.keyboard.press("Delete")
    expect_words(canvas, re.compile("^Nothing is drawn"))
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def test_clear_empties_everything(page, canvas):
    draw_with_mouse(page, path_of(canvas, 5))
    expect_words(canvas, re.compile("reads"))
    assert ink_seen(canvas)
    canvas.locator(".clear").click()
    expect_words(canvas, "Nothing is drawn yet: write a digit from 0 to 9.")
    assert stroke_count(canvas) == 0
    assert ink_seen(canvas) == 0
    assert shares(canvas) == [""] * 10
    assert canvas.locator(".bar").evaluate_all("(b) => b.map((x) => x.style.width)") == ["0%"] * 10
    expect(canvas.locator(".best")).to_have_count(0)


def test_the_last_stroke_is_taken_back_by_button_and_by_key(page, canvas):
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    draw_with_mouse(page, path_of(canvas, 4))
    expect_words(canvas, re.compile("reads"))
    assert stroke_count(canvas) == 2
    canvas.locator(".undo").click()
    expect(canvas.locator(".paper path")).to_have_count(1)
    page.keyboard.press("Control+z")
    expect_words(canvas, "Nothing is drawn yet: write a digit from 0 to 9.")
    page.keyboard.press("Control+z")  # nothing is left to take back
    assert stroke_count(canvas) == 0
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_two_digits_get_a_word_and_no_bars(page, canvas):
    draw_with_mouse(page, path_of(canvas, 1, x=0.25, height=0.4))
    expect_words(canvas, re.compile("reads"))
    draw_with_mouse(page, path_of(canvas, 7, x=0.75, height=0.4))
    expect_words(canvas, "No answer: there are 2 separate shapes, and a digit is one")
    assert shares(canvas) == [""] * 10
    assert ink_seen(canvas) == 0


def test_a_second_view_shows_the_same(page, canvas):
    draw_with_mouse(page, path_of(canvas, 3))
    expect_words(canvas, re.compile("reads: 3"))
    second = run_cell(page, 2).locator(".mnistkit-draw")
    expect(second.locator(".words")).to_have_text(re.compile("reads: 3"))
    assert stroke_count(second) == 1
    second.locator(".clear").click()
    expect_words(canvas, re.compile("^Nothing is drawn"))
    assert stroke_count(canvas) == 0
    draw_with_mouse(page, path_of(second, 0))
    expect_words(canvas, re.compile("reads: 0"))
    assert stroke_count(canvas) == 1


def test_an_answer_that_comes_late_is_not_shown(page, canvas):
    draw_with_mouse(page, path_of(canvas, 4))
    expect_words(canvas, re.compile("reads: 4"))
    canvas.evaluate("""(canvas) => {
      const words = canvas.querySelector(".words");
      window.seen = [];
      new MutationObserver(() => window.seen.push(words.textContent))
        .observe(words, { childList: true });
    }""")
    run_cell(page, 3)
    run_cell(page, 4)
    expect_words(canvas, "The network reads: fresh")
    assert "The network reads: fresh" in page.evaluate("window.seen")
    assert "The network reads: stale" not in page.evaluate("window.seen")


def test_a_model_that_fails_is_heard_of(page):
    moody = run_cell(page, 5).locator(".mnistkit-draw")
    expect(moody.locator(".words")).to_have_text(re.compile("^Nothing is drawn"))
    draw_with_mouse(page, path_of(moody, 1))
    expect_words(moody, re.compile("^The model failed: .*: not today$"))


def test_the_reader_answers_while_python_is_busy_and_python_hears_of_it(page):
    at_once = run_cell(page, 6).locator(".mnistkit-draw")
    busy = begin_cell(page, 7).locator(".jp-InputPrompt")
    expect(busy).to_have_text("[*]:")
    draw_with_mouse(page, path_of(at_once, 3))
    expect_words(at_once, re.compile(r"^The network reads: 3 \(\d+\.\d%\)$"))
    assert sum(share != "" for share in shares(at_once)) == 10
    assert 40 < ink_seen(at_once) < 400
    expect(busy).to_have_text("[*]:")
    words = at_once.locator(".words").inner_text()
    command(page, "notebook:interrupt-kernel")
    expect(busy).to_have_text(re.compile(r"\[\d+\]"))
    # The page tells Python of one state at a time, and JupyterLab hands it to a thread beside the
    # cells: a cell that runs within the same instant may come first.
    hear = time.monotonic() + PATIENCE / 1000
    while (said := said_by(page, 8)) != words.split(": ")[1]:
        assert time.monotonic() < hear, f"Python still says: {said}"
        time.sleep(0.2)
    assert at_once.locator(".words").inner_text() == words
    at_once.locator(".clear").click()
    expect_words(at_once, "Nothing is drawn yet: write a digit from 0 to 9.")


def test_ink_and_words_stand_out_in_the_dark_theme(page, canvas):
    draw_with_mouse(page, path_of(canvas, 7))
    expect_words(canvas, re.compile("reads"))
    for theme, light in (("JupyterLab Dark", "false"), ("JupyterLab Light", "true")):
        command(page, "apputils:change-theme", {"theme": theme})
        expect(page.locator(f'body[data-jp-theme-light="{light}"]')).to_have_count(1)
        page.wait_for_function(CONTRAST, arg=light == "true")


CONTRAST = """(light) => {
  const brightness = (selector, property) => {
    const style = getComputedStyle(document.querySelector(selector))[property];
    const [red, green, blue] = style.match(/[\\d.]+/g).map(Number);
    return 0.3 * red + 0.59 * green + 0.11 * blue;
  };
  const paper = brightness(".mnistkit-draw .paper", "backgroundColor");
  const ink = [
    brightness(".mnistkit-draw .paper path", "stroke"),
    brightness(".mnistkit-draw .words", "color"),
    brightness(".mnistkit-draw .bars li:not(.best)", "color"),
  ];
  return ink.every((value) => (light ? paper - value : value - paper) > 90);
}"""


def test_it_fits_a_narrow_page(page, canvas):
    page.set_viewport_size({"width": 420, "height": 1000})
    try:
        page.wait_for_function("document.querySelector('.mnistkit-draw').clientWidth < 400")
        assert canvas.evaluate("(c) => c.scrollWidth <= c.clientWidth")
        draw_with_mouse(page, path_of(canvas, 0))
        expect_words(canvas, re.compile("reads: 0"))
        box, bars = canvas.bounding_box(), canvas.locator(".bars").bounding_box()
        assert bars["x"] + bars["width"] <= box["x"] + box["width"]
    finally:
        page.set_viewport_size({"width": 1200, "height": 1000})


def test_a_kernel_that_is_gone_is_said(page, canvas, complaints):
    draw_with_mouse(page, path_of(canvas, 7))
    expect_words(canvas, re.compile("reads"))
    page.evaluate(END_SESSION)
    canvas.locator(".clear").click()
    expect(canvas.locator(".paper path")).to_have_count(0)
    expect(canvas.locator(".share")).to_have_text([""] * 10)
    draw_with_mouse(page, path_of(canvas, 1))
    expect_words(canvas, "The kernel is busy, or gone: the answer will follow when it is free.")
    assert stroke_count(canvas) == 1
    complaints.clear()  # of widgets without a kernel there may be some


def test_a_notebook_that_is_opened_again_shows_what_was_drawn(page, server, complaints):
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    still = cell.locator(".jp-OutputArea-child div[id^=mnistkit-still]")
    expect(still).to_be_hidden()  # while there is a canvas
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.goto(f"{server}/lab/tree/draw.ipynb?reset")
    expect(still).to_be_visible()
    expect(still).to_contain_text(re.compile("7 .* run the cell to draw"))
    expect(still.locator("path")).to_have_count(1)
    page.wait_for_function(READY)
    expect(cell.get_by_text("model not found")).to_be_hidden()
    complaints.clear()  # JupyterLab says there that it knows no such model
