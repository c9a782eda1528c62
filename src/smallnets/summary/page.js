"use strict";
const net = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = { input: "input", conv: "convolution", pool: "pool", linear: "linear, attention", join: "join", other: "other" };
const byId = (id) => document.getElementById(id);

function make(parent, name, attributes = {}, text = null) {
  const svg = parent.namespaceURI === SVG || name === "svg";
  const node = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
}

const comma = (number) => number.toLocaleString("en-US");
const by = (sides) => (sides ? sides.join(" × ") : "");
function bytes(number) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (number < 1024) return `${+number.toPrecision(3)} ${unit}`;
    number /= 1024;
  }
  return `${+number.toPrecision(3)} GiB`;
}
const shapes = (shape) => (Array.isArray(shape[0]) ? shape.map(by).join(", ") : by(shape));

// Which block draws a row, and which row stands for a block.
const blockOf = new Map();
net.blocks.forEach((block, index) => block.rows.forEach((row) => blockOf.set(row, index)));
const kindOf = (row) => (net.rows[row].path || net.rows[row].type) && net.blocks[blockOf.get(row) ?? 0].kind;
let current = -1;

// The drawing: heights in proportion to sides, widths to channels; vectors stand upright, in a scale of their own.
const drawing = drawBlocks();
function drawBlocks() {
  const height = 170, slant = 0.32;
  const maps = net.blocks.filter((block) => block.height > 0);
  const tallest = Math.max(1, ...maps.map((block) => Math.max(block.height, block.width)));
  const widest = Math.max(1, ...maps.map((block) => block.channels));
  const longest = Math.max(1, ...net.blocks.filter((block) => !block.height).map((block) => block.channels));
  const scale = height / tallest;
  const depth = (block) => (block.height ? Math.max(2, block.width * scale * slant) : 3);
  // As wide as the page has room for, within what still looks like a block.
  const gaps = net.blocks.reduce((sum, block) => sum + depth(block) * 0.62 + 9, 24);
  const parts = maps.reduce((sum, block) => sum + block.channels / widest, 0);
  const slab = Math.min(60, Math.max(18, (byId("stage").clientWidth - 36 - gaps) / parts));
  let x = 12;
  const boxes = net.blocks.map((block) => {
    const flat = block.height === 0;
    const box = {
      w: flat ? 5 : Math.max(2, (block.channels / widest) * slab),
      h: flat ? Math.max(3, (block.channels / longest) * height) : Math.max(3, block.height * scale),
      d: depth(block),
    };
    box.x = x;
    x += box.w + box.d * 0.62 + 9;
    return box;
  });
  const deepest = Math.max(...boxes.map((box) => box.d));
  const arcs = [];
  net.blocks.forEach((block, index) =>
    block.sources.filter((source) => source < index - 1).forEach((source) => arcs.push([source, index])));
  const room = arcs.length ? Math.min(92, 26 + 7 * Math.sqrt(Math.max(...arcs.map(([a, b]) => boxes[b].x - boxes[a].x)))) : 0;
  const middle = room + deepest * 0.75 + height / 2 + 18;
  const total = middle + height / 2 + 46, width = Math.max(x + deepest, 200);
  const svg = make(byId("stage"), "svg", { class: "drawing", role: "group", "aria-label": "The net as blocks" });
  let top = Math.min(...boxes.map((box) => middle - box.h / 2 - box.d * 0.75));

  const lines = arcs.map(([from, to]) => {
    const a = boxes[from], b = boxes[to];
    const [ax, bx] = [a.x + a.w / 2 + a.d * 0.4, b.x + b.w / 2 + b.d * 0.4];
    const [ay, by_] = [middle - a.h / 2 - a.d * 0.75 - 2, middle - b.h / 2 - b.d * 0.75 - 2];
    const lift = Math.min(room, 14 + 7 * Math.sqrt(bx - ax));
    const between = boxes.slice(from, to + 1).map((box) => middle - box.h / 2 - box.d * 0.75);
    const peak = Math.min(...between) - lift;
    top = Math.min(top, 0.75 * peak + 0.25 * Math.min(ay, by_));
    return make(svg, "path", { class: "arc", d: `M${ax} ${ay} C${ax} ${peak} ${bx} ${peak} ${bx} ${by_}` });
  });

  for (const [key, value] of [["width", width], ["height", total - top + 8], ["viewBox", `0 ${top - 8} ${width} ${total - top + 8}`]]) svg.setAttribute(key, value);

  const groups = boxes.map((box, index) => {
    const block = net.blocks[index], { x, w, h, d } = box, y = middle - h / 2, e = d * 0.75;
    const size = block.height ? `${block.channels} maps of ${block.height}×${block.width}` : `${block.channels} features`;
    const g = make(svg, "g", { class: "block", tabindex: 0, role: "button", "aria-label": `${block.name}: ${size}`, style: `--c: var(--${block.kind})` });
    make(g, "title", {}, `${block.name}: ${size}`);
    make(g, "path", { class: "top", d: `M${x} ${y} l${d} ${-e} h${w} l${-d} ${e} z` });
    make(g, "path", { class: "side", d: `M${x + w} ${y} l${d} ${-e} v${h} l${-d} ${e} z` });
    make(g, "rect", { class: "front", x, y, width: w, height: h });
    const [kind, said] = net.marks[index] ?? [];
    if (kind) make(make(g, "g", { class: `mark ${kind}` }), "circle", { cx: x + w / 2 + d / 2, cy: y - e - 7, r: 4.5 }).append(make(g, "title", {}, said));
    const row = block.rows.length ? block.rows[0] : -1;
    for (const event of ["pointerenter", "click", "focus"]) g.addEventListener(event, () => select(row, event === "click"));
    return g;
  });

  let last = "";
  boxes.forEach((box, index) => {
    const block = net.blocks[index];
    const label = block.height ? `${block.height}` : "";
    if (label && label !== last) make(svg, "text", { x: box.x + box.w / 2, y: middle + box.h / 2 + 14 }, label);
    last = label || last;
  });
  const heads = net.blocks.map((block) => (block.rows.length ? net.rows[block.rows[0]].path.split(".")[0] : ""));
  for (let start = 0; start < heads.length; ) {
    let end = start;
    while (end + 1 < heads.length && heads[end + 1] === heads[start]) end++;
    const left = boxes[start].x, right = boxes[end].x + boxes[end].w;
    if (heads[start] && right - left > heads[start].length * 6.2) {
      make(svg, "path", { class: "bracket", d: `M${left} ${total - 20} H${right}` });
      make(svg, "text", { x: (left + right) / 2, y: total - 6 }, heads[start]);
    }
    start = end + 1;
  }
  return { svg, groups, lines, arcs, boxes };
}

const used = new Set(net.blocks.map((block) => block.kind));
for (const [kind, words] of Object.entries(COLOURS)) {
  if (!used.has(kind)) continue;
  const item = make(byId("legend"), "span");
  make(item, "i", { style: `background: var(--${kind})` });
  item.append(words);
}

// The picture: a scene drawn here, so that the page needs nothing from outside, or one of the reader's.
const sides = net.picture;
const scene = sides ? drawPicture(sides) : null;
if (!sides) byId("field").hidden = true;
function drawPicture([h, w]) {
  const margin = 0.14 * Math.max(h, w), u = Math.min(h, w) / 100;
  const svg = make(byId("picture"), "svg", { viewBox: `${-margin} ${-margin} ${w + 2 * margin} ${h + 2 * margin}`, role: "img", "aria-label": "Receptive field over a picture" });
  const defs = make(svg, "defs");
  const sky = make(defs, "linearGradient", { id: "sky", x1: 0, y1: 0, x2: 0, y2: 1 });
  for (const [offset, colour] of [["0", "#2f6ea8"], ["0.55", "#9cc7de"], ["0.72", "#f6d9a8"]]) make(sky, "stop", { offset, "stop-color": colour });
  make(make(defs, "clipPath", { id: "frame" }), "rect", { width: w, height: h });
  const clipped = make(svg, "g", { "clip-path": "url(#frame)" });
  const art = make(clipped, "g");
  make(art, "rect", { width: w, height: h, fill: "url(#sky)" });
  make(art, "circle", { cx: 0.74 * w, cy: 0.3 * h, r: 8 * u, fill: "#fff3cf" });
  const hill = (points, fill) => make(art, "path", { d: `M0 ${h} L` + points.map(([px, py]) => `${px * w} ${py * h}`).join(" L ") + ` L${w} ${h} Z`, fill, "stroke-linejoin": "round" });
  hill([[0, 0.62], [0.18, 0.38], [0.3, 0.54], [0.46, 0.3], [0.66, 0.56], [0.82, 0.46], [1, 0.6]], "#5d7fa3");
  make(art, "path", { d: `M${0.46 * w} ${0.3 * h} L${0.4 * w} ${0.385 * h} L${0.45 * w} ${0.37 * h} L${0.49 * w} ${0.4 * h} L${0.524 * w} ${0.378 * h} Z`, fill: "#eef4f8" });
  make(art, "path", { d: `M0 ${0.7 * h} Q${0.25 * w} ${0.56 * h} ${0.5 * w} ${0.68 * h} T${w} ${0.64 * h} V${h} H0 Z`, fill: "#4d8a5b" });
  make(art, "path", { d: `M0 ${0.84 * h} Q${0.3 * w} ${0.72 * h} ${0.6 * w} ${0.82 * h} T${w} ${0.78 * h} V${h} H0 Z`, fill: "#2f6b47" });
  for (const [tx, ty, s] of [[0.14, 0.78, 1], [0.23, 0.8, 0.8], [0.86, 0.76, 1.1], [0.93, 0.79, 0.8]])
    for (const [dy, r] of [[0, 5], [-5, 4], [-9, 3]])
      make(art, "path", { d: `M${tx * w - r * s * u} ${ty * h + dy * s * u} h${2 * r * s * u} l${-r * s * u} ${-8 * s * u} z`, fill: "#1e4f37" });
  make(art, "path", { d: `M${0.5 * w} ${0.7 * h} h${14 * u} v${11 * u} h${-14 * u} z`, fill: "#f3e7d3" });
  make(art, "path", { d: `M${0.5 * w - 2 * u} ${0.7 * h} h${18 * u} l${-9 * u} ${-9 * u} z`, fill: "#b4493a" });
  make(art, "rect", { x: 0.5 * w + 5 * u, y: 0.7 * h + 4 * u, width: 4 * u, height: 7 * u, fill: "#6b4a36" });
  const image = make(clipped, "image", { width: w, height: h, preserveAspectRatio: "xMidYMid slice", visibility: "hidden" });
  const shade = make(clipped, "path", { fill: "#0b1017", "fill-opacity": 0.58, "fill-rule": "evenodd" });
  const dots = make(svg, "g", { fill: "#ffffff", "fill-opacity": 0.75 });
  const stroke = Math.max(h, w) / 130;
  const outside = make(svg, "rect", { fill: "none", stroke: "var(--soft)", "stroke-width": stroke * 0.7, "stroke-dasharray": `${stroke * 2} ${stroke * 2}` });
  const inside = make(svg, "rect", { id: "window", fill: "none", stroke: "#ffd34d", "stroke-width": stroke });
  byId("file").addEventListener("change", (event) => {
    const file = event.target.files[0];
    if (!file) return;
    image.setAttribute("href", URL.createObjectURL(file));
    image.setAttribute("visibility", "visible");
  });
  return { shade, dots, outside, inside, margin, stroke };
}

function place(node, [y0, x0, y1, x1]) {
  for (const [key, value] of [["x", x0], ["y", y0], ["width", Math.max(0, x1 - x0)], ["height", Math.max(0, y1 - y0)]]) node.setAttribute(key, value);
}

function showField(row) {
  if (!scene) return;
  const [h, w] = sides, data = row < 0 ? null : net.rows[row];
  const known = row < 0 || data.receptive_field;
  const size = row < 0 ? [1, 1] : data.receptive_field ?? [h, w], jump = row < 0 ? [1, 1] : data.jump ?? [1, 1];
  const offset = row < 0 ? [0, 0] : data.offset ?? [0, 0];
  const shape = row < 0 ? net.input : Array.isArray(data.output[0]) ? data.output[0] : data.output;
  const whole = size[0] === h && size[1] === w && offset[0] === 0 && offset[1] === 0;
  const counts = shape.length === 4 ? [shape[2], shape[3]] : [1, 1];
  const start = [0, 1].map((axis) => (whole ? 0 : offset[axis] + Math.floor((counts[axis] - 1) / 2) * jump[axis]));
  const box = [start[0], start[1], start[0] + size[0], start[1] + size[1]];
  const cut = [Math.max(0, box[0]), Math.max(0, box[1]), Math.min(h, box[2]), Math.min(w, box[3])];
  place(scene.inside, cut);
  const m = scene.margin - scene.stroke / 2;
  place(scene.outside, [Math.max(-m, box[0]), Math.max(-m, box[1]), Math.min(h + m, box[2]), Math.min(w + m, box[3])]);
  scene.shade.setAttribute("d", `M0 0 H${w} V${h} H0 Z M${cut[1]} ${cut[0]} V${cut[2]} H${cut[3]} V${cut[0]} Z`);
  scene.dots.replaceChildren();
  if (!whole && row >= 0 && counts[0] * counts[1] <= 900 && shape.length === 4)
    for (let i = 0; i < counts[0]; i++)
      for (let j = 0; j < counts[1]; j++) {
        const [cy, cx] = [offset[0] + i * jump[0] + size[0] / 2, offset[1] + j * jump[1] + size[1] / 2];
        if (cy >= 0 && cx >= 0 && cy <= h && cx <= w) make(scene.dots, "circle", { cx, cy, r: scene.stroke * 0.42 });
      }
  byId("seen").textContent = !known ? "No one window: branches of different strides meet before."
    : whole ? "Each position sees the whole picture."
    : `Each position sees ${by(size)} pixels; one step is ${by(jump)} pixels.`;
}

function showNumbers(row) {
  const list = byId("numbers"), title = byId("layer");
  list.replaceChildren();
  title.replaceChildren();
  byId("shares").replaceChildren();
  make(title, "i", { style: `background: var(--${row < 0 ? "input" : kindOf(row)})` });
  if (row < 0) {
    title.append("input");
    make(list, "dt", {}, "shape");
    make(list, "dd", {}, by(net.input));
    return;
  }
  const data = net.rows[row];
  title.append([data.path, data.type].filter(Boolean).join("  ·  "));
  const add = (name, value) => { if (value) { make(list, "dt", {}, name); make(list, "dd", {}, value); } };
  add("input", shapes(data.input));
  add("output", shapes(data.output));
  add("kernel", by(data.kernel_size));
  add("stride", by(data.stride));
  add("padding", Array.isArray(data.padding) ? by(data.padding) : data.padding);
  add("dilation", data.dilation && data.dilation.some((side) => side > 1) ? by(data.dilation) : "");
  add("parameters", data.params ? comma(data.params) : "none");
  add("MACs", data.macs ? comma(data.macs) : "");
  add("elementwise", data.elementwise ? comma(data.elementwise) : "");
  add("activation", bytes(data.activation_bytes));
  add("receptive field", by(data.receptive_field));
  add("jump", by(data.jump));
  for (const [words, part, all] of [["parameters", data.params, net.totals.params], ["MACs", data.macs, net.totals.macs], ["activations", data.activation_bytes, net.outputs]]) {
    const line = make(byId("shares"), "div", { class: "part" }), share = all ? (100 * part) / all : 0;
    make(line, "span", {}, words);
    make(make(line, "div"), "i", { style: `width: ${Math.min(100, share)}%; background: var(--${kindOf(row)})` });
    make(line, "span", {}, `${share < 10 ? share.toFixed(1) : Math.round(share)} %`);
  }
}

function select(row, reveal) {
  if (row === current && !reveal) return;
  current = row;
  const block = row < 0 ? 0 : blockOf.get(row) ?? 0;
  drawing.groups.forEach((group, index) => group.classList.toggle("on", index === block));
  drawing.lines.forEach((line, index) => line.classList.toggle("on", drawing.arcs[index].includes(block)));
  byId("walk").value = row + 1;
  for (const line of body.rows) line.classList.toggle("on", +line.dataset.row === row);
  if (reveal) {
    const stage = byId("stage"), middle = drawing.boxes[block].x - stage.clientWidth / 2;
    stage.scrollTo({ left: middle });
  }
  showNumbers(row);
  showField(row);
}

// The table: a click on a heading sorts by it, a second click turns the order.
const COLUMNS = [
  ["#", (row, index) => index, "#"], ["layer", (row) => row.path, "layer"], ["type", (row) => row.type, "type"],
  ["output", (row) => (Array.isArray(row.output[0]) ? row.output[0] : row.output).reduce((a, b) => a * b, 1), "output"],
  ["kernel", (row) => (row.kernel_size ?? []).reduce((a, b) => a * b, row.kernel_size ? 1 : 0), "kernel"],
  ["params", (row) => row.params, "params"], ["macs", (row) => row.macs, "MACs"],
  ["bytes", (row) => row.activation_bytes, "activation"], ["field", (row) => (row.receptive_field ?? [0])[0], "field"],
];
const head = make(byId("table").tHead, "tr"), body = byId("table").tBodies[0];
const most = Math.max(1, ...net.rows.map((row) => row.macs)), heaviest = Math.max(1, ...net.rows.map((row) => row.params));
let order = { column: 0, down: false };
COLUMNS.forEach(([key, , words], column) => {
  const cell = make(head, "th", { class: column === 1 || column === 2 ? "text" : "", scope: "col", "data-key": key });
  make(cell, "button", { type: "button" }, words).addEventListener("click", () => {
    order = { column, down: order.column === column ? !order.down : column > 2 };
    fill();
  });
});
function fill() {
  const value = COLUMNS[order.column][1], sign = order.down ? -1 : 1;
  const indices = net.rows.map((_, index) => index).sort((a, b) => {
    const [p, q] = [value(net.rows[a], a), value(net.rows[b], b)];
    return (sign * (typeof p === "string" ? p.localeCompare(q, "en", { numeric: true }) : p - q)) || a - b;
  });
  [...head.cells].forEach((cell, column) => {
    if (column === order.column) cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
  body.replaceChildren(...indices.map(line));
}
function line(index) {
  const row = net.rows[index], tr = document.createElement("tr");
  tr.dataset.row = index;
  tr.classList.toggle("on", index === current);
  make(tr, "td", { class: "kind" }, index + 1);
  const name = make(tr, "td", { class: "text" });
  make(name, "i", { style: `background: var(--${net.blocks[blockOf.get(index) ?? 0].kind})` });
  name.append(row.path || "forward");
  make(tr, "td", { class: "text kind" }, row.type);
  make(tr, "td", {}, shapes(row.output));
  make(tr, "td", {}, row.kernel_size ? by(row.kernel_size) + (row.stride.some((side) => side > 1) ? ` / ${row.stride[0]}` : "") : "");
  make(tr, "td", { class: "bar", style: `--part: ${(100 * row.params) / heaviest}%` }, row.params ? comma(row.params) : "");
  make(tr, "td", { class: "bar", style: `--part: ${(100 * row.macs) / most}%` }, row.macs ? comma(row.macs) : "");
  make(tr, "td", {}, bytes(row.activation_bytes));
  make(tr, "td", {}, row.receptive_field ? by(row.receptive_field) : "");
  tr.addEventListener("pointerenter", () => select(index, false));
  tr.addEventListener("click", () => select(index, true));
  return tr;
}

byId("walk").max = net.rows.length;
byId("walk").addEventListener("input", (event) => select(+event.target.value - 1, true));
const step = (by_) => select(Math.max(-1, Math.min(net.rows.length - 1, current + by_)), true);
byId("back").addEventListener("click", () => step(-1));
byId("forth").addEventListener("click", () => step(1));
byId("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
});
fill();
select(net.start, false);
