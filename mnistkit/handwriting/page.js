// The canvas of draw.js with the reader of this page where a notebook has its kernel.

const CANVASES_OF = [0, 1]; // layers whose maps are shown

// As much of anywidget's model as draw.js uses: a state, and who is told when it changes.
function makeModel(read) {
  const state = { drawing: { number: 0, pen: PENS[USUAL], strokes: [] }, answer: { number: 0, ...read([]) } };
  const listeners = [];
  const tell = (name) => listeners.filter(([event]) => event === `change:${name}`).forEach(([, call]) => call());
  return {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    on: (event, call) => { listeners.push([event, call]); },
    off: () => {},
    save_changes: () => {
      state.answer = { number: state.drawing.number, ...read(state.drawing.strokes, state.drawing.pen) };
      tell("answer");
      showMaps(state.answer.maps);
    },
  };
}

function showMaps(maps) {
  const place = document.getElementById("maps");
  if (!place.children.length) CANVASES_OF.forEach((layer) => place.append(makeRow(layer)));
  CANVASES_OF.forEach((layer, row) => {
    place.children[row].querySelectorAll("canvas").forEach((canvas, channel) => paint(canvas, maps[layer], channel));
  });
}

function makeRow(layer) {
  const { channels, side } = reader.predict(new Float32Array(SIDE * SIDE)).maps[layer];
  const row = make("div", { class: "row", role: "img", "aria-label": `${channels} maps of convolution ${layer + 1}` });
  for (let channel = 0; channel < channels; channel++) row.append(make("canvas", { width: side, height: side }));
  return row;
}

function paint(canvas, map, channel) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!map) return;
  const area = map.side * map.side;
  const values = map.values.subarray(channel * area, (channel + 1) * area);
  const most = Math.max(1e-6, ...values), image = context.createImageData(map.side, map.side);
  values.forEach((value, i) => {
    image.data.set([0, 114, 178, Math.round(255 * value / most)], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

const canvas = document.getElementById("canvas"), dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => { canvas.dataset.jpThemeLight = String(!dark.matches); };
dark.addEventListener("change", follow);
follow();
render({ model: makeModel((strokes, pen) => reader.answer(strokes, pen)), el: canvas });
showMaps([]);
