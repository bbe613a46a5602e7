// How puzzles of a task are seen: a Sudoku, a maze, another board, a grid of colours, a string. The rules of the
// first two are known here (rules.js); of the others the page knows what GET /v1/tasks says, and no more.

const PAD = 0;
const RULED = ["sudoku", "maze"];
const NAMES = ["black", "blue", "red", "green", "yellow", "grey", "magenta", "orange", "light blue", "maroon"];
/** The ten public colours of ARC, as envs/drawing/colours.py has them. */
export const COLOURS = ["#000000", "#0074d9", "#ff4136", "#2ecc40", "#ffdc00", "#aaaaaa", "#f012be", "#ff851b",
  "#7fdbff", "#870c25"];

/** "sudoku", "maze", "board", "colours" or "string". */
export function kindOf(task) {
  if (task.drawn_as !== "board") return task.drawn_as;
  return RULED.includes(task.name) ? task.name : "board";
}

/** Whether the page knows the rules of a task. */
export const isRuled = (task) => RULED.includes(kindOf(task));

/** The colour of a token, 0 to 9, or null for a mark and for what is not there. */
export const colourOf = (task, token) => (/^\d$/.test(task.characters[token] ?? "") ? Number(task.characters[token]) : null);

/** The token of a colour. */
export const tokenOf = (task, colour) => task.characters.indexOf(String(colour));

/** The token that ends the rows and the grid, or null where there is none. */
export function endMark(task) {
  const token = [...task.characters].findIndex((_, i) => i !== PAD && colourOf(task, i) === null);
  return token < 0 ? null : token;
}

/** A grid of colours as tokens of the whole canvas: at its top left, with a mark behind each row and below each column. */
export function painted(task, grid) {
  const [end, columns] = [endMark(task), grid[0].length];
  return Array.from({ length: task.rows * task.columns }, (_, cell) => {
    const [row, column] = [Math.floor(cell / task.columns), cell % task.columns];
    if (row < grid.length && column < columns) return tokenOf(task, grid[row][column]);
    const edge = (row === grid.length && column < columns) || (column === columns && row < grid.length);
    return edge && end !== null ? end : PAD;
  });
}

/** The part of a canvas that has colours: {top, left, rows, columns}, or null. */
function coloured(task, board) {
  const places = board.flatMap((token, cell) => (colourOf(task, token) === null ? [] : [[Math.floor(cell / task.columns), cell % task.columns]]));
  if (!places.length) return null;
  const [rows, columns] = [0, 1].map((axis) => places.map((place) => place[axis]));
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  return { top, left, rows: Math.max(...rows) - top + 1, columns: Math.max(...columns) - left + 1 };
}

/** The colours of a canvas, row by row; 0 where a cell inside has none. */
export function gridOf(task, board) {
  const { top, left, rows, columns } = coloured(task, board) ?? { top: 0, left: 0, rows: 1, columns: 1 };
  return Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) =>
    colourOf(task, board[(top + row) * task.columns + left + column]) ?? 0));
}

/** The part of an answer that is its grid: the largest rectangle of colours that begins where the question does.
 * What lies outside was never taught, and means nothing. */
function answered(task, board, { top, left }) {
  let best = { top, left, rows: 1, columns: 1 };
  for (let row = top, width = Infinity; row < task.rows; row++) {
    const start = row * task.columns + left;
    const run = board.slice(start, (row + 1) * task.columns).findIndex((token) => colourOf(task, token) === null);
    width = Math.min(width, run < 0 ? task.columns - left : run);
    if ((row - top + 1) * width > best.rows * best.columns) best = { top, left, rows: row - top + 1, columns: width };
  }
  return best;
}

/** The cells that are drawn, a list for each line, of which none is empty. board: an answer to the question, or
 * the question itself. */
export function linesOf(task, board, question = board) {
  const kind = kindOf(task);
  const line = (row, left, count) => Array.from({ length: count }, (_, i) => row * task.columns + left + i);
  if (kind === "string") {
    const used = Array.from({ length: task.rows }, (_, row) => {
      const part = question.slice(row * task.columns, (row + 1) * task.columns);
      return [part.findIndex((token) => token !== PAD), part.findLastIndex((token) => token !== PAD) + 1];
    });
    const left = Math.min(...used.flatMap(([begin, end]) => (end ? [begin] : [])));
    const found = used.flatMap(([, end], row) => (end ? [line(row, left, end - left)] : []));
    return found.length ? found : [[0]];
  }
  let window = kind === "colours" ? coloured(task, question) : extent(task, question);
  if (kind === "colours" && board !== question && window) window = answered(task, board, window);
  window ??= { top: 0, left: 0, rows: 1, columns: 1 };
  return Array.from({ length: window.rows }, (_, row) => line(window.top + row, window.left, window.columns));
}

function extent(task, board) {
  const there = board.flatMap((token, cell) => (token === PAD ? [] : [cell]));
  if (!there.length) return { top: 0, left: 0, rows: task.rows, columns: task.columns };
  const rows = Math.floor(there.at(-1) / task.columns) + 1;
  return { top: 0, left: 0, rows, columns: Math.max(...there.map((cell) => cell % task.columns)) + 1 };
}

/** What stands in a cell of such a task, in one character. */
export function character(task, token) {
  const found = task.characters[token] ?? "?";
  if (token === PAD) return "";
  return { "\n": "↵", "\t": "→" }[found] ?? found;
}

/** The same in words. */
export function meaning(task, token) {
  if (token === PAD) return kindOf(task) === "colours" ? "outside" : "nothing";
  const colour = kindOf(task) === "colours" ? colourOf(task, token) : null;
  if (colour !== null) return NAMES[colour];
  if (kindOf(task) === "colours") return "end mark";
  return { " ": "blank", "\n": "line end", "\t": "tab", ".": "dot", "#": "#" }[task.characters[token]] ?? character(task, token);
}
