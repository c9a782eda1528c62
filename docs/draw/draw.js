"use strict";
const about = JSON.parse(document.getElementById("about").textContent);
const byId = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");
// From dark to bright in even steps of lightness, so that a map reads the same in grey.
const COLOURS = [[20, 14, 54], [59, 60, 130], [40, 120, 142], [60, 180, 117], [170, 215, 70], [252, 231, 120]];
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function make(parent, name, attributes = {}, text = "") {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(text);
  parent.append(node);
  return node;
}

// The paper.
const paper = byId("paper"), ink = paper.getContext("2d");
let strokes = [], drawing = null, writing = 0;

function show() {
  ink.clearRect(0, 0, paper.width, paper.height);
  Object.assign(ink, { strokeStyle: getComputedStyle(paper).color, lineWidth: 0.075 * paper.width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    ink.beginPath();
    for (const [x, y] of [stroke[0], ...stroke]) ink.lineTo(x * paper.width, y * paper.height);
    ink.stroke();
  }
  look();
}

function add(event) {
  const box = paper.getBoundingClientRect();
  for (const one of event.getCoalescedEvents?.().concat(event) ?? [event]) {
    const point = [(one.clientX - box.left) / box.width, (one.clientY - box.top) / box.height];
    const last = drawing.at(-1);
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) > 0.005) drawing.push(point);
  }
  show();
}

paper.addEventListener("pointerdown", (event) => {
  if (drawing || event.button) return;
  if (writing) clear(); // what the page wrote makes room
  paper.setPointerCapture(event.pointerId);
  drawing = [];
  strokes.push(drawing);
  add(event);
  event.preventDefault();
});
paper.addEventListener("pointermove", (event) => drawing && paper.hasPointerCapture(event.pointerId) && add(event));
for (const end of ["pointerup", "pointercancel"])
  paper.addEventListener(end, (event) => { if (paper.hasPointerCapture(event.pointerId)) drawing = null; });

function clear() {
  cancelAnimationFrame(writing);
  [strokes, drawing, writing] = [[], null, 0];
  show();
}
byId("clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });

// The page's own hand: a digit in most of a second, at once for those who want no motion.
function write(digit) {
  clear();
  const begun = performance.now();
  const step = (now) => {
    const part = still.matches ? 1 : Math.min(1, Math.max(0, (now - begun) / 700));
    writing = part < 1 ? requestAnimationFrame(step) : -1;
    strokes = written(HAND[digit], part);
    show();
  };
  writing = requestAnimationFrame(step);
}
HAND.forEach((_, digit) => {
  const button = make(byId("hand"), "button", { type: "button", "aria-label": `Write a ${digit}` }, digit);
  button.addEventListener("click", () => write(digit));
});

// The answer.
const bars = about.classes.map((name) => {
  const line = make(byId("bars"), "div", { class: "part", role: "listitem" });
  make(line, "span", {}, name);
  const bar = make(make(line, "div", { "aria-hidden": "true" }), "i");
  return { line, bar, share: make(line, "span") };
});

function say(shares) {
  const best = shares ? shares.indexOf(Math.max(...shares)) : -1;
  bars.forEach(({ line, bar, share }, at) => {
    line.classList.toggle("best", at === best);
    bar.style.width = shares ? percent(shares[at]).replace(" ", "") : 0;
    share.textContent = shares ? percent(shares[at]) : "";
  });
  const [digit, words] = byId("answer").children;
  digit.textContent = shares ? about.classes[best] : "·";
  const sure = shares && (shares[best] > 0.9 ? "surely" : shares[best] > 0.6 ? "probably" : "perhaps");
  words.textContent = shares ? `${sure}, ${percent(shares[best])}` : "Draw a digit";
  clearTimeout(telling); // a screen reader hears of it when the hand rests
  telling = setTimeout(() => { byId("told").textContent = shares ? `${digit.textContent}, ${words.textContent}` : ""; }, 600);
}
let telling = 0;

// The maps: each layer is one small canvas, a pixel of it a number of the net, enlarged by the style sheet.
const layers = about.layers.map((layer) => {
  const [count, height, width] = layer.shape, rows = Math.ceil(count / layer.columns);
  const node = make(byId("flow"), "div", { class: "layer", style: `--c: var(--${layer.kind})` });
  const head = make(node, "div"), title = make(head, "h3");
  make(title, "i");
  title.append(layer.name);
  const words = make(head, "p");
  for (const line of layer.words) make(words, "span", {}, line);
  const sheet = make(node, "div", { class: "sheet" });
  const across = layer.columns * (width + 1) - 1, down = rows * (height + 1) - 1;
  const canvas = make(sheet, "canvas", { width: across, height: down, role: "img", "aria-label": `${layer.name}: ${layer.words.join(", ")}` });
  canvas.style.cssText = `width: calc(${across} * var(--s)); height: calc(${down} * var(--s))`;
  const shown = { ...layer, canvas, sheet, count, height, width, values: new Float32Array(count * height * width) };
  canvas.addEventListener("pointermove", (event) => point(shown, event));
  canvas.addEventListener("pointerdown", (event) => point(shown, event));
  canvas.addEventListener("pointerleave", leave);
  return shown;
});
const field = make(layers[0].sheet, "div", { class: "window", hidden: "" });

function paint(layer, values) {
  layer.values = values;
  const image = new ImageData(layer.canvas.width, layer.canvas.height), { width, height } = layer;
  const most = layer.most || Math.max(1e-6, ...values), size = width * height;
  values.forEach((value, at) => {
    const map = Math.floor(at / size), y = Math.floor((at % size) / width), x = at % width;
    const top = Math.floor(map / layer.columns) * (height + 1) + y, left = (map % layer.columns) * (width + 1) + x;
    const place = Math.min(1, Math.max(0, value / most)) * (COLOURS.length - 1), low = Math.min(COLOURS.length - 2, Math.floor(place));
    for (let part = 0; part < 3; part++)
      image.data[4 * (top * image.width + left) + part] = COLOURS[low][part] + (place - low) * (COLOURS[low + 1][part] - COLOURS[low][part]);
    image.data[4 * (top * image.width + left) + 3] = 255;
  });
  layer.canvas.getContext("2d").putImageData(image, 0, 0);
}

// What a number sees: its window on the picture.
const HINT = "Bright is much, dark is nothing; each layer from 0 to its own largest. Point at a map to see what a place of it sees.";
function point(layer, event) {
  const box = layer.canvas.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width * layer.canvas.width, (event.clientY - box.top) / box.height * layer.canvas.height].map(Math.floor);
  const map = Math.floor(y / (layer.height + 1)) * layer.columns + Math.floor(x / (layer.width + 1));
  const [column, row] = [x % (layer.width + 1), y % (layer.height + 1)];
  if (map >= layer.count || column >= layer.width || row >= layer.height) return leave();
  const value = layer.values[(map * layer.height + row) * layer.width + column];
  const [left, top] = [column, row].map((at) => layer.offset + at * layer.jump);
  field.hidden = false;
  for (const [side, length] of Object.entries({ left, top, width: layer.field, height: layer.field }))
    field.style[side] = `calc(${length} * var(--s))`;
  const where = layer.height > 1 ? `map ${map + 1}, row ${row + 1}, column ${column + 1}` : `number ${map + 1}`;
  const sees = layer.field < 32 ? `${layer.field}×${layer.field} pixels of the picture` : "the whole picture";
  byId("seen").textContent = `${layer.name}, ${where}: ${+value.toPrecision(3)}; it sees ${sees}.`;
  return undefined;
}
function leave() {
  field.hidden = true;
  byId("seen").textContent = HINT;
}
leave();

// The net: asked again whenever something was drawn while it was busy.
let session = null, stale = false, busy = false;
async function look() {
  stale = true;
  if (!session || busy) return;
  busy = true;
  while (stale) {
    stale = false;
    await ask();
  }
  busy = false;
}

async function ask() {
  const empty = strokes.length === 0;
  const pixels = empty ? new Uint8Array(SIDE * SIDE) : prepare(strokes).pixels;
  const found = await session.run({ pictures: new ort.Tensor("uint8", pixels, [1, 1, SIDE, SIDE]) });
  for (const layer of layers) paint(layer, layer.output ? found[layer.output].data : Float32Array.from(pixels));
  say(empty ? null : [...found.probabilities.data]);
}

// onnxruntime-web lies in scripts, as text: so it loads from a disk as it does from a server, and asks nobody else.
const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const unpacked = (text) => new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
const script = (src) => new Promise((done, failed) => Object.assign(make(document.head, "script", { src }), { onload: done, onerror: () => failed(new Error(`${src} did not load`)) }));

async function start() {
  if (!about.runtime) throw new Error("This copy of the page was made without onnxruntime-web");
  if (typeof WebAssembly === "undefined" || typeof DecompressionStream === "undefined")
    throw new Error("Your browser has no WebAssembly");
  await script("runtime.js");
  ort.env.wasm.numThreads = 1; // more would need a server that isolates the page
  ort.env.wasm.wasmBinary = await unpacked(RUNTIME.wasm);
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([bytes(RUNTIME.mjs)], { type: "text/javascript" })) };
  session = await ort.InferenceSession.create(bytes(RUNTIME.net), { executionProviders: ["wasm"] });
  if (strokes.length) look();
  else write(3);
}

start().catch((error) => {
  byId("why").textContent = `${error.message}, so LeNet-5 cannot run here. This is what it saw when this picture was taken.`;
  byId("recorded").classList.add("on");
  byId("tool").hidden = true;
});

byId("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
  show();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
show();
