"use strict";
// A digit of each kind, written by the page for those who cannot draw or want to see it done: lists of [x, y] in [0, 1].
function arc(cx, cy, rx, ry, from, to) {
  return Array.from({ length: 25 }, (_, step) => {
    const angle = ((from + ((to - from) * step) / 24) * Math.PI) / 180; // 0 to the right, 90 down
    return [cx + rx * Math.cos(angle), cy + ry * Math.sin(angle)];
  });
}
const HAND = [
  [arc(0.5, 0.5, 0.27, 0.38, -90, 270)],
  [[[0.36, 0.3], [0.54, 0.13], [0.54, 0.87]]],
  [[...arc(0.5, 0.33, 0.24, 0.2, -170, 30), [0.27, 0.86], [0.76, 0.86]]],
  [[...arc(0.47, 0.31, 0.22, 0.18, -150, 90), ...arc(0.47, 0.69, 0.26, 0.2, -90, 150)]],
  [[[0.58, 0.12], [0.24, 0.6], [0.76, 0.6]], [[0.6, 0.36], [0.6, 0.88]]],
  [[[0.72, 0.13], [0.33, 0.13], [0.3, 0.45], ...arc(0.48, 0.65, 0.25, 0.22, -120, 150)]],
  [[[0.63, 0.12], [0.41, 0.36], ...arc(0.5, 0.66, 0.2, 0.21, -160, 200)]],
  [[[0.25, 0.15], [0.75, 0.15], [0.43, 0.87]], [[0.38, 0.5], [0.68, 0.5]]],
  [[...arc(0.5, 0.31, 0.18, 0.18, 90, 450), ...arc(0.5, 0.69, 0.23, 0.2, -90, 270)]],
  [[...arc(0.5, 0.33, 0.2, 0.2, 0, 360), [0.69, 0.4], [0.59, 0.87]]],
];

// The first part of a digit's way, 0 to 1: what has been written of it by then, the last point in between two.
function written(strokes, part) {
  const lengths = strokes.map((stroke) => stroke.slice(1).map(([x, y], at) => Math.hypot(x - stroke[at][0], y - stroke[at][1])));
  let left = part * lengths.flat().reduce((a, b) => a + b, 0);
  const done = [];
  for (const [which, stroke] of strokes.entries()) {
    if (which && left <= 0) break;
    const points = [stroke[0]];
    for (const [at, length] of lengths[which].entries()) {
      if (left <= 0) break;
      const share = Math.min(1, left / (length || 1)), [ax, ay] = stroke[at], [bx, by] = stroke[at + 1];
      points.push([ax + share * (bx - ax), ay + share * (by - ay)]);
      left -= length;
    }
    done.push(points);
  }
  return done;
}
