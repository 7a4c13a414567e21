// One kernel, one window, one sum: a convolution to move by hand.

const SIDE = 28, SIZE = 3, MAP = SIDE - SIZE + 1;
const KERNELS = {
  "upright edge": [-1, 0, 1, -1, 0, 1, -1, 0, 1],
  "level edge": [-1, -1, -1, 0, 0, 0, 1, 1, 1],
  "slanted stroke": [-1, -1, 2, -1, 2, -1, 2, -1, -1],
  "as it is": [0, 0, 0, 0, 1, 0, 0, 0, 0],
  "mean of nine": Array(9).fill(1 / 9),
  outline: [-1, -1, -1, -1, 8, -1, -1, -1, -1],
};
const OWN = "your own";
const BLUE = [0, 114, 178], ORANGE = [213, 94, 0];

const at = (id) => document.getElementById(id);
let pixels = [], kernel = [...KERNELS["upright edge"]];

function read(text) {
  return Array.from(atob(text), (letter) => letter.charCodeAt(0) / 255);
}

function patch(row, column) {
  const found = [];
  for (let y = 0; y < SIZE; y++) for (let x = 0; x < SIZE; x++) found.push(pixels[(row + y) * SIDE + column + x]);
  return found;
}

function sumAt(row, column) {
  return patch(row, column).reduce((total, value, i) => total + value * kernel[i], 0);
}

// Like 1.5 or −0.2, with a true minus sign.
function written(value, digits = 2) {
  const text = (Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value).toFixed(digits);
  return text.replace("-", "−");
}

function frame(context, row, column, unit, size, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 3;
  context.strokeRect(column * unit + 1.5, row * unit + 1.5, size * unit - 3, size * unit - 3);
}

function paint(canvas, side, colourOf) {
  const context = canvas.getContext("2d"), unit = canvas.width / side;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      context.fillStyle = `rgb(${colourOf(row, column).map(Math.round).join(" ")})`;
      context.fillRect(column * unit, row * unit, unit + 0.5, unit + 0.5);
    }
  }
  return [context, unit];
}

function show() {
  const row = Number(at("row").value), column = Number(at("column").value);
  const [picture, unit] = paint(at("picture"), SIDE, (y, x) => Array(3).fill(255 * (1 - pixels[y * SIDE + x])));
  frame(picture, row, column, unit, SIZE, "#d55e00");
  const sums = Array.from({ length: MAP * MAP }, (_, i) => sumAt(Math.floor(i / MAP), i % MAP));
  const most = Math.max(1e-6, ...sums.map(Math.abs));
  const [map, cell] = paint(at("map"), MAP, (y, x) => {
    const share = sums[y * MAP + x] / most, full = share < 0 ? ORANGE : BLUE;
    return full.map((part) => 255 + (part - 255) * Math.abs(share));
  });
  frame(map, row, column, cell, 1, "#111");
  patch(row, column).forEach((value, i) => {
    at("products").querySelectorAll("td")[i].textContent = `${written(value)} x ${written(kernel[i])}`;
  });
  at("sum").textContent = `Sum: ${written(sums[row * MAP + column])}`;
}

function table(id, cell) {
  for (let y = 0; y < SIZE; y++) {
    const row = at(id).tBodies[0].insertRow();
    for (let x = 0; x < SIZE; x++) row.insertCell().append(cell(y * SIZE + x));
  }
}

function showKernel() {
  at("weights").querySelectorAll("input").forEach((input, i) => { input.value = Number(kernel[i].toFixed(3)); });
}

function choices(id, names, chosen) {
  at(id).append(...names.map((name) => new Option(name, name)));
  at(id).addEventListener("change", () => { chosen(at(id).value); show(); });
}

table("products", () => "");
table("weights", (i) => {
  const input = document.createElement("input");
  Object.assign(input, { type: "number", step: "0.5", ariaLabel: `row ${Math.floor(i / SIZE) + 1}, column ${i % SIZE + 1}` });
  input.addEventListener("input", () => {
    kernel[i] = Number(input.value) || 0;
    at("kernel").value = OWN;
    show();
  });
  input.addEventListener("change", showKernel); // what was left empty counts as 0
  return input;
});
choices("digit", Object.keys(DIGITS), (name) => { pixels = read(DIGITS[name]); });
choices("kernel", [...Object.keys(KERNELS), OWN], (name) => {
  if (name !== OWN) kernel = [...KERNELS[name]];
  showKernel();
});
for (const id of ["row", "column"]) at(id).addEventListener("input", show);
for (const [id, side, offset] of [["picture", SIDE, 1], ["map", MAP, 0]]) {
  const move = (event) => {
    if (event.type === "pointermove" && !event.buttons) return; // it stays where it was put
    const box = at(id).getBoundingClientRect();
    const place = (value, length) => Math.min(MAP - 1, Math.max(0, Math.floor(side * value / length) - offset));
    at("column").value = place(event.clientX - box.left, box.width);
    at("row").value = place(event.clientY - box.top, box.height);
    show();
  };
  for (const name of ["pointerdown", "pointermove"]) at(id).addEventListener(name, move);
}
pixels = read(DIGITS[at("digit").value]);
showKernel();
show();
