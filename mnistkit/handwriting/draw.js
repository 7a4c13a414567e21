// The page's side of "draw a digit": strokes go to the kernel, its answers come back.
// The kernel's side is canvas.py. Where that sends a network, the page answers as well, at once,
// by makeReader of reader.js.

const SVG = "http://www.w3.org/2000/svg";
const UNITS = 1000; // strokes are in thousandths of the paper's side
const NEAR = 5; // a point that close to the last one adds nothing to see
const STEP = 40; // what a key moves the pen by
const PATIENCE = 3000; // milliseconds without an answer until the page says so
const CLASSES = 10;
const SIDE = 28;

const PENS = { thin: 45, medium: 75, thick: 120 }; // widths; the whole drawing has one
const USUAL = "medium";

const KEY_HELP =
  "Arrow keys move the pen, Home, End, Page Up and Page Down move it aslant, Space sets it down " +
  "or lifts it, Control+Z takes the last stroke back, Delete clears.";

const KEYS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1],
};

function make(name, attributes = {}, ...children) {
  const node = name === "svg" || name === "path" || name === "circle"
    ? document.createElementNS(SVG, name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// --- what is on the page -------------------------------------------------------------

function makePage() {
  const paper = make("svg", {
    class: "paper", viewBox: `0 0 ${UNITS} ${UNITS}`, tabindex: "0", role: "application",
    "aria-label": `Paper to draw a digit on, with the mouse, a finger, a pen or keys. ${KEY_HELP}`,
  });
  const hint = make("p", { class: "hint", "aria-hidden": "true" }, KEY_HELP);
  const clear = make("button", { type: "button", class: "clear" }, "Clear");
  const undo = make("button", { type: "button", class: "undo" }, "Undo");
  const pens = makePens();
  const words = make("p", { class: "words", "aria-hidden": "true" });
  const spoken = make("p", { class: "spoken", role: "status", "aria-live": "polite" });
  const picture = make("canvas", { width: SIDE, height: SIDE, class: "picture", role: "img" });
  const bars = make("ol", { class: "bars", "aria-label": "How probable each digit is" });
  for (let digit = 0; digit < CLASSES; digit++) {
    const track = make("span", { class: "track" }, make("span", { class: "bar" }));
    const label = make("span", { class: "digit" }, String(digit));
    bars.append(make("li", {}, label, track, make("span", { class: "share" })));
  }
  const root = make(
    "div",
    { class: "mnistkit-draw" },
    make("div", { class: "drawn" },
      paper, hint, make("div", { class: "tools" }, pens, undo, clear),
      make("div", { class: "below" }, words), spoken),
    make("div", { class: "read" },
      make("figure", {}, picture, make("figcaption", {}, "what the network sees")), bars),
  );
  return { root, paper, pens, undo, clear, words, spoken, picture, bars };
}

function makePens() {
  const group = `pen-${Math.random().toString(36).slice(2)}`; // a page may hold several canvases
  const choices = Object.entries(PENS).map(([name, width]) => {
    const choice = make("input", { type: "radio", name: group, value: width });
    choice.checked = name === USUAL;
    const dot = make("span", { class: "dot", "aria-hidden": "true" });
    dot.style.width = dot.style.height = `${width / 6}px`;
    return make("label", { title: `${name} pen` }, choice, dot, make("span", { class: "name" }, name));
  });
  return make("fieldset", { class: "pens" }, make("legend", {}, "Pen"), ...choices);
}

function penOf(pens) {
  return Number(pens.querySelector("input:checked").value);
}

function choosePen(pens, width) {
  for (const choice of pens.querySelectorAll("input")) choice.checked = Number(choice.value) === width;
}

function showStrokes(paper, strokes, pen) {
  const paths = strokes.map((stroke) => {
    const points = stroke.length === 1 ? [stroke[0], stroke[0]] : stroke; // a dot, too, is ink
    const d = `M ${points.map((point) => point.join(" ")).join(" L ")}`;
    return make("path", { d, "stroke-width": pen });
  });
  paper.querySelectorAll("path").forEach((path) => path.remove());
  paper.prepend(...paths);
}

function showPicture(picture, shades) {
  const context = picture.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  shades.forEach((shade, place) => { image.data[4 * place + 3] = shade; });
  context.putImageData(image, 0, 0);
  picture.setAttribute("aria-label",
    `What the network sees: ${SIDE} by ${SIDE} pixels${shades.length ? "" : ", all blank"}`);
}

function showBars(bars, probabilities) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  [...bars.children].forEach((row, digit) => {
    const share = probabilities[digit];
    const known = share !== undefined;
    row.classList.toggle("best", known && digit === best);
    row.querySelector(".bar").style.width = `${100 * (known ? share : 0)}%`;
    row.querySelector(".share").textContent = known ? `${(100 * share).toFixed(1)} %` : "";
  });
}

function sentence({ kind, words }) {
  if (kind === "answer") return `The network ${words.startsWith("no digit") ? "says" : "reads"}: ${words}`;
  if (kind === "refusal") return `No answer: ${words}`;
  if (kind === "error") return `The model failed: ${words}`;
  return words;
}

function showAnswer(page, answer) {
  page.root.dataset.kind = answer.kind;
  page.words.textContent = sentence(answer);
  showPicture(page.picture, answer.picture);
  showBars(page.bars, answer.probabilities);
}

// --- the pen -------------------------------------------------------------------------

// Calls begin(point), extend(point) and end() for each stroke of a mouse, finger or pen.
function listenToPointers(paper, { begin, extend, end }) {
  let active = null;
  const place = (event) => {
    const box = paper.getBoundingClientRect();
    return [
      Math.round(UNITS * (event.clientX - box.left) / box.width),
      Math.round(UNITS * (event.clientY - box.top) / box.height),
    ];
  };
  paper.addEventListener("pointerdown", (event) => {
    if (active !== null || event.button !== 0) return; // a palm beside the pen, another button
    active = event.pointerId;
    paper.setPointerCapture(active); // the stroke goes on when it leaves the paper
    begin(place(event));
  });
  paper.addEventListener("pointermove", (event) => {
    if (event.pointerId !== active) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) extend(place(each));
  });
  const stop = (event) => {
    if (event.pointerId !== active) return;
    active = null;
    end();
  };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    paper.addEventListener(name, stop);
  }
}

// The same with keys: a mark shows where the pen is.
function listenToKeys(paper, { begin, extend, end, clear }) {
  const mark = make("circle", { class: "mark", r: 30 });
  paper.append(mark);
  let point = [UNITS / 2, UNITS / 4];
  let down = false;
  const set = (lowered) => {
    down = lowered;
    paper.classList.toggle("down", down);
    (down ? begin : end)(point);
  };
  const move = ([x, y]) => {
    point = kept([point[0] + STEP * x, point[1] + STEP * y]);
    mark.setAttribute("cx", point[0]);
    mark.setAttribute("cy", point[1]);
    if (down) extend(point);
  };
  move([0, 0]);
  paper.addEventListener("keydown", (event) => {
    if (event.key in KEYS) move(KEYS[event.key]);
    else if (event.key === " ") set(!down);
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault(); // the page would scroll
  });
  const lift = () => down && set(false);
  paper.addEventListener("blur", lift);
  paper.addEventListener("pointerdown", lift, { capture: true }); // the hand goes to the mouse
  return lift;
}

// Keys pressed in here are not for the notebook, where D D deletes a cell and 0 0 restarts the
// kernel. Shift+Enter and the like are.
function keepKeys(root, lift, undo) {
  root.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey || event.altKey;
    if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      event.preventDefault(); // of the last edit of a cell
      event.stopPropagation();
      lift();
      undo();
    }
    if (!command && !(event.shiftKey && event.key === "Enter")) event.stopPropagation();
  });
}

function kept(point) {
  return point.map((value) => Math.min(UNITS, Math.max(0, value)));
}

// --- the conversation ----------------------------------------------------------------

function render({ model, el }) {
  const page = makePage();
  const network = model.get("network");
  const here = network ? makeReader(network) : null;
  let answer = model.get("answer"); // the one that is shown
  let strokes = [];
  let drawing = false; // the pen is down
  let shown = 0; // the newest state that an answer was shown for: older ones come too late
  let waiting = null;
  let frame = null;

  const send = () => {
    frame = null;
    if (!here) waiting ??= setTimeout(complain, PATIENCE);
    const number = model.get("drawing").number + 1;
    const pen = penOf(page.pens);
    model.set("drawing", { number, pen, strokes: strokes.map((stroke) => [...stroke]) });
    model.save_changes(); // one message at a time is under way; of what waits the last is sent
  };
  const changed = () => {
    showStrokes(page.paper, strokes, penOf(page.pens));
    frame ??= requestAnimationFrame(send);
  };
  const complain = () => {
    waiting = null;
    page.words.textContent = page.spoken.textContent =
      "The kernel is busy, or gone: the answer will follow when it is free.";
  };
  const pen = {
    begin(point) {
      drawing = true;
      strokes.push([kept(point)]);
      changed();
    },
    extend(point) {
      const stroke = strokes[strokes.length - 1];
      const [x, y] = kept(point);
      const [lastX, lastY] = stroke[stroke.length - 1];
      if (Math.hypot(x - lastX, y - lastY) < NEAR) return;
      stroke.push([x, y]);
      changed();
    },
    end() {
      drawing = false;
      speak();
    },
    undo() {
      if (drawing || !strokes.length) return;
      strokes.pop();
      changed();
    },
    clear() {
      strokes = drawing ? [[strokes.at(-1).at(-1)]] : [];
      changed();
    },
  };

  // A screen reader hears an answer when the pen is lifted, not at every bend.
  const speak = () => {
    const settled = !drawing && frame === null;
    if (settled && answer.number === model.get("drawing").number) {
      page.spoken.textContent = sentence(answer);
    }
  };
  const show = (given) => {
    if (given.number < shown) return;
    answer = given;
    shown = answer.number;
    if (answer.number === model.get("drawing").number) {
      clearTimeout(waiting);
      waiting = null;
    }
    showAnswer(page, answer);
    speak();
  };
  const hear = () => show(model.get("answer"));
  // Another view of the same widget has drawn, or this one has.
  const redraw = () => {
    const state = model.get("drawing");
    if (here) {
      show({ number: state.number, ...here.answer(state.strokes, state.pen) });
    } else if (!state.strokes.length) {
      shown = state.number; // answers under way are about a drawing that is gone
      showAnswer(page, { kind: "empty", words: "", picture: [], probabilities: [] });
    }
    if (drawing || frame !== null) return;
    strokes = state.strokes.map((stroke) => [...stroke]);
    choosePen(page.pens, state.pen);
    showStrokes(page.paper, strokes, state.pen);
  };

  listenToPointers(page.paper, pen);
  const lift = listenToKeys(page.paper, pen);
  keepKeys(page.root, lift, pen.undo);
  page.pens.addEventListener("change", changed);
  page.undo.addEventListener("click", pen.undo);
  page.clear.addEventListener("click", pen.clear);
  model.on("change:drawing", redraw);
  model.on("change:answer", hear);
  redraw();
  hear();
  // What is left when the kernel is gone: see DigitCanvas. It is not seen while this is.
  el.append(make("style", {}, `#${model.get("still")} { display: none; }`), page.root);
  return () => {
    clearTimeout(waiting);
    cancelAnimationFrame(frame);
    model.off("change:drawing", redraw);
    model.off("change:answer", hear);
  };
}

export default { render };
