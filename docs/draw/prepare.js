"use strict";
// From strokes to the picture that the net takes, by the steps that made its training pictures (UCI's digits, 1998):
// a bitmap of 32x32, filled by the digit from top to bottom; the pixels that are set in each block of 4x4, 0 to 16;
// these 8x8 counts, scaled to 255 and enlarged to 32x32.
const SIDE = 32, CELLS = 8, BLOCK = SIDE / CELLS;
const PEN = 5, WIDE = 24; // pixels of the bitmap: the pen's width, the most that a digit takes from side to side

// Strokes are lists of [x, y], in any unit.
function prepare(strokes) {
  const fitted = fit(strokes), counts = new Uint8Array(CELLS * CELLS);
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++)
      if (isInked(fitted, x + 0.5, y + 0.5)) counts[Math.floor(y / BLOCK) * CELLS + Math.floor(x / BLOCK)]++;
  return { counts, pixels: enlarged(counts) };
}

// Moved to the middle and scaled, its shape kept. The pen does not grow with it: so thick and thin hands look alike.
function fit(strokes) {
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  const [left, top] = [xs, ys].map((all) => all.reduce((a, b) => Math.min(a, b)));
  const [right, bottom] = [xs, ys].map((all) => all.reduce((a, b) => Math.max(a, b)));
  const scale = Math.min((WIDE - PEN) / (right - left), (SIDE - PEN) / (bottom - top));
  const times = Number.isFinite(scale) ? scale : 0; // a dot stays one
  const place = (value, low, high) => (value - (low + high) / 2) * times + SIDE / 2;
  return strokes.map((stroke) => stroke.map(([x, y]) => [place(x, left, right), place(y, top, bottom)]));
}

// Whether a point lies within half the pen's width of a stroke.
function isInked(strokes, x, y) {
  return strokes.some((stroke) =>
    stroke.some(([bx, by], index) => {
      const [ax, ay] = stroke[Math.max(0, index - 1)], [dx, dy] = [bx - ax, by - ay];
      const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
      const t = Math.min(1, Math.max(0, along));
      return Math.hypot(x - ax - t * dx, y - ay - t * dy) <= PEN / 2;
    }),
  );
}

// Bilinear between the middles of the cells, as PyTorch's interpolate does it.
function enlarged(counts) {
  const pixels = new Uint8Array(SIDE * SIDE);
  const places = Array.from({ length: SIDE }, (_, at) => {
    const place = Math.max(0, (at + 0.5) / BLOCK - 0.5), low = Math.floor(place);
    return [low, Math.min(CELLS - 1, low + 1), place - low];
  });
  places.forEach(([up, down, v], y) =>
    places.forEach(([left, right, u], x) => {
      const row = (cell) => counts[cell * CELLS + left] * (1 - u) + counts[cell * CELLS + right] * u;
      pixels[y * SIDE + x] = Math.round(((row(up) * (1 - v) + row(down) * v) / 16) * 255);
    }),
  );
  return pixels;
}
