// The distances between the outputs of one video as a picture: a field a pair, the stronger its colour the more
// alike the two are. The pointer, or the arrow keys, say which pair it is and how far apart they are.

import { byId, setText } from "../shared/dom.js";

const WIDEST = 480;  // pixels; of many outputs a field is one pixel
const LARGEST_FIELD = 40;
const FARTHEST = 32;  // bits, as of two random pictures; more has no weaker colour

const canvas = byId("heat-map-canvas");
const plain = document.createElement("canvas");  // the fields, without the mark of the pair

let bits = [];
let names = [];
let pair = [0, 0];  // row, column

/** bits: of each output to each, in the sequence of `names`. */
export function draw(distances, outputNames) {
  [bits, names, pair] = [distances, outputNames, [0, Math.min(1, outputNames.length - 1)]];
  const all = bits.flatMap((row, at) => row.slice(at + 1));
  const range = all.length ? `, ${inBits(all.reduce((a, b) => Math.min(a, b)))} to ${inBits(all.reduce((a, b) => Math.max(a, b)))}` : "";
  canvas.ariaLabel = `Distances between ${names.length} videos${range}. The arrow keys go from pair to pair.`;
  drawFields();
  mark();
}

const fieldSize = () => Math.max(1, Math.min(LARGEST_FIELD, Math.floor(WIDEST / names.length)));
const inBits = (value) => `${value.toFixed(1)} bits`;
const colorOf = (name) => getComputedStyle(canvas).getPropertyValue(name);

function drawFields() {
  const field = fieldSize();
  canvas.width = canvas.height = plain.width = plain.height = field * names.length;
  const context = plain.getContext("2d");
  context.fillStyle = colorOf("--accent");
  bits.forEach((row, y) => row.forEach((value, x) => {
    context.globalAlpha = 1 - Math.min(value, FARTHEST) / FARTHEST;
    context.fillRect(x * field, y * field, field, field);
  }));
}

/** Frame the field of the pair, and say what it is. */
function mark() {
  const [context, field, [row, column]] = [canvas.getContext("2d"), fieldSize(), pair];
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(plain, 0, 0);
  context.strokeStyle = colorOf("--text");
  context.lineWidth = 2;
  context.strokeRect(column * field, row * field, field, field);
  const same = row === column;
  setText(byId("heat-map-pair"), same ? names[row] : `${names[row]} and ${names[column]}: ${inBits(bits[row][column])}`);
}

function goTo(row, column) {
  const last = names.length - 1;
  pair = [row, column].map((place) => Math.min(Math.max(place, 0), last));
  mark();
}

function onKey(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (!step) return;
  event.preventDefault();
  goTo(pair[0] + step[0], pair[1] + step[1]);
}

function onPointer({ offsetX, offsetY }) {
  const scale = names.length / canvas.clientWidth;
  goTo(Math.floor(offsetY * scale), Math.floor(offsetX * scale));
}

export function init() {
  canvas.addEventListener("keydown", onKey);
  canvas.addEventListener("pointermove", onPointer);
  canvas.addEventListener("pointerdown", onPointer);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!names.length) return;
    drawFields();
    mark();
  });
}
