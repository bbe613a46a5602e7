// A segment drawn on a canvas, for the GIF: the same board as on the page, in light colours.

import { COLOURS as TEN, colourOf, isRuled, kindOf, linesOf } from "./kinds.js";
import { BLANK, GOAL, PATH, START, WALL, isMaze } from "./rules.js";
import { glyph } from "./text.js";

const INK = "#1c1e22";
const COLOURS = { paper: "#fffdf8", line: "#cfcabf", thick: "#4a4a4a", model: "#1d4ea8", bad: "#b3261e",
  badGround: "#fbdcd7", changed: "#fff0c2", dim: "#6b6f76", good: "#19693a", wall: "#3b3f46" };
const SIDE = 360;
const WRAP = 16; // characters of a string in a line
const EDGE = 14;
const HEAD = 40;
const FOOT = 30;
const SERIF = "Charter, Georgia, 'Liberation Serif', serif";
const SANS = "system-ui, 'Liberation Sans', sans-serif";

/** The size of a picture of so many boards side by side. */
export const sizeOf = (boards) => [boards * (SIDE + EDGE) + EDGE, SIDE + HEAD + FOOT];

/** Draw some boards. panels: [{task, puzzle, cells, title, foot, kind, gone}] */
export function paint(context, panels) {
  const [width, height] = sizeOf(panels.length);
  context.fillStyle = COLOURS.paper;
  context.fillRect(0, 0, width, height);
  panels.forEach((panel, i) => {
    context.save();
    context.translate(EDGE + i * (SIDE + EDGE), 0);
    text(context, panel.title, 0, HEAD / 2, `600 15px ${SANS}`, INK, "left");
    context.translate(0, HEAD - 2);
    board(context, panel);
    const foot = { good: COLOURS.good, bad: COLOURS.bad, gone: COLOURS.bad }[panel.kind] ?? COLOURS.dim;
    text(context, panel.foot, 0, SIDE + FOOT / 2 + 1, `14px ${SANS}`, foot, "left");
    context.restore();
  });
}

/** The cells of a picture, a list for each line: long strings are broken. */
function placesOf(task, puzzle, answer) {
  const lines = linesOf(task, answer, puzzle);
  if (kindOf(task) !== "string") return lines;
  return lines.flatMap((line) =>
    Array.from({ length: Math.ceil(line.length / WRAP) }, (_, i) => line.slice(i * WRAP, (i + 1) * WRAP)));
}

function board(context, { task, puzzle, answer, cells, gone }) {
  const places = placesOf(task, puzzle, answer);
  const [rows, columns] = [places.length, Math.max(...places.map((line) => line.length))];
  const size = Math.min(Math.floor(SIDE / Math.max(rows, columns)), isRuled(task) ? SIDE : 60);
  places.forEach((line, row) => line.forEach((place, column) => {
    context.save();
    context.translate(column * size, row * size);
    cell(context, task, cells[place], size);
    context.restore();
  }));
  const [boxRows, boxColumns] = task.box ?? [rows, columns];
  for (let row = 0; row <= rows; row++) rule(context, 0, row * size, columns * size, row * size, row % boxRows === 0);
  for (let column = 0; column <= columns; column++)
    rule(context, column * size, 0, column * size, rows * size, column % boxColumns === 0);
  if (!gone) return;
  context.strokeStyle = COLOURS.bad;
  context.lineWidth = 3;
  context.beginPath();
  context.moveTo(0, 0);
  context.lineTo(columns * size, rows * size);
  context.moveTo(columns * size, 0);
  context.lineTo(0, rows * size);
  context.stroke();
}

function cell(context, task, seen, size) {
  if (seen.changed || seen.broken) {
    context.fillStyle = seen.broken ? COLOURS.badGround : COLOURS.changed;
    context.fillRect(0, 0, size, size);
  }
  const colour = seen.broken || seen.wrong ? COLOURS.bad : seen.given ? INK : seen.assumed ? COLOURS.dim : COLOURS.model;
  if (kindOf(task) === "colours") return patch(context, task, seen, size);
  context.globalAlpha = seen.given ? 1 : 0.45 + 0.55 * seen.trust;
  if (isMaze(task)) passage(context, task, seen, size, colour);
  else if (seen.token > (isRuled(task) ? BLANK : 0)) {
    const weight = seen.given ? "600" : seen.assumed ? "italic 400" : "400";
    text(context, glyph(task, seen.token), size / 2, size / 2 + 1, `${weight} ${Math.round(size * 0.6)}px ${SERIF}`, colour);
  }
  context.globalAlpha = 1;
  if (seen.wrong || seen.broken) {
    context.fillStyle = COLOURS.bad;
    context.fillRect(size * 0.22, size * 0.86, size * 0.56, Math.max(2, size * 0.05));
  }
}

/** A cell of a grid of colours: changed has a corner, wrong a cross. */
function patch(context, task, seen, size) {
  const colour = colourOf(task, seen.token);
  context.fillStyle = colour === null ? COLOURS.line : TEN[colour];
  context.fillRect(0, 0, size, size);
  if (seen.changed) {
    context.fillStyle = COLOURS.changed;
    context.beginPath();
    context.moveTo(0, 0);
    context.lineTo(size * 0.35, 0);
    context.lineTo(0, size * 0.35);
    context.fill();
  }
  if (!seen.wrong && !seen.broken) return;
  for (const [width, style] of [[5, INK], [2.5, COLOURS.paper]]) {
    Object.assign(context, { lineWidth: width, strokeStyle: style });
    context.beginPath();
    for (const [from, to] of [[0.25, 0.75], [0.75, 0.25]]) {
      context.moveTo(size * 0.25, size * from);
      context.lineTo(size * 0.75, size * to);
    }
    context.stroke();
  }
}

function passage(context, task, seen, size, colour) {
  if (seen.token === WALL) {
    context.fillStyle = COLOURS.wall;
    context.fillRect(0, 0, size, size);
  } else if (seen.token === PATH) {
    context.fillStyle = colour;
    context.beginPath();
    context.arc(size / 2, size / 2, size * 0.24, 0, 7);
    context.fill();
  } else if (seen.token === START || seen.token === GOAL) {
    text(context, glyph(task, seen.token), size / 2, size / 2 + 1, `700 ${Math.round(size * 0.6)}px ${SANS}`, INK);
  }
}

function rule(context, x1, y1, x2, y2, thick) {
  context.strokeStyle = thick ? COLOURS.thick : COLOURS.line;
  context.lineWidth = thick ? 2 : 1;
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function text(context, words, x, y, font, colour, align = "center") {
  Object.assign(context, { font, fillStyle: colour, textAlign: align, textBaseline: "middle" });
  context.fillText(words, x, y);
}
