// Puzzles as people write, paste and link them, without a server. The forms are those of
// envs/sudoku/text.py and envs/maze/files.py, and some more that a clipboard brings.

import { TextError } from "./fault.js";
import { character, isRuled, kindOf } from "./kinds.js";
import { compactPlain, expandPlain, writePlain } from "./plain.js";
import { BLANK, FREE, GOAL, PAD, START, WALL, extent, isMaze } from "./rules.js";

export { TextError };

const BLANKS = /[.0_*xX?\-·]/;
const BETWEEN = /[|!,;│║┃¦\s[\](){}"']/g;
const FRAME = /^[-+*=:.|!_│║┃¦\s\u2500-\u257f]+$/;
const REMARK = /\s+[#;].*/;
const TITLE = /^\[?(grid|puzzle|sudoku|board|question)\b/i;
const LENGTHS = [4, 6, 9, 16, 36, 81]; // of rows and boards
const COMMENT = /^(#|;|\/\/)/;
const MAZE = new Map([
  ["#", WALL], ["█", WALL], ["■", WALL],
  [" ", FREE], [".", FREE], ["·", FREE], ["o", FREE],
  ["S", START], ["s", START], ["G", GOAL], ["g", GOAL],
]);

/** The first Sudoku or maze of a text, for one of `tasks`, the one that is `current` before others.
 * Returns {task, board, more}: `more` puzzles follow it. Throws TextError. */
export function parse(text, tasks, current) {
  const order = [current, ...tasks.filter((task) => task !== current)].filter(isRuled);
  const plain = text.normalize("NFKC").replace(/\r\n?/g, "\n").replace(/\ufeff/g, "");
  if (!plain.trim()) throw new TextError("There is no text to read a puzzle from.");
  if (/[#█■]/.test(plain) && /s/i.test(plain) && /g/i.test(plain) && !/[1-9]/.test(plain))
    return parseMaze(plain, order.filter(isMaze));
  return parseSudoku(plain, order.filter((task) => !isMaze(task)));
}

function parseSudoku(text, tasks) {
  if (!tasks.length) throw new TextError("The text is no maze of '#', ' ', S and G.");
  const lines = text.split("\n").map(cellsOf).filter(Boolean);
  const sure = lines.filter((line) => !line.doubtful);
  for (const chosen of [lines, sure])
    for (const task of tasks) {
      const cells = chosen.flatMap((line) => line.cells);
      const length = task.rows * task.columns;
      if (cells.length === length) return { task, board: tokens(cells, task), more: 0 };
    }
  for (const task of tasks) {
    const length = task.rows * task.columns;
    const whole = sure.filter((line) => line.cells.length === length || line.cells.length === 2 * length);
    if (whole.length)
      return { task, board: tokens(whole[0].cells.slice(0, length), task), more: whole.length - 1 };
    const all = sure.flatMap((line) => line.cells);
    if (all.length > length && all.length % length === 0 && sure.every((l) => l.cells.length === task.rows))
      return { task, board: tokens(all.slice(0, length), task), more: all.length / length - 1 };
  }
  const [task] = tasks;
  const odd = sure.find((line) => line.cells.length !== task.rows);
  const total = sure.reduce((sum, line) => sum + line.cells.length, 0);
  if (sure.length === task.rows && odd)
    throw new TextError(`Row ${sure.indexOf(odd) + 1} has ${odd.cells.length} cells; it needs ${task.rows}.`);
  const lengths = tasks.map((one) => one.rows * one.columns).join(" or ");
  throw new TextError(`The text has ${total} cells; a board has ${lengths}.`);
}

/** The cells of a line, or null for a frame, a comment or a title. */
function cellsOf(line) {
  const bare = line.replace(REMARK, "").trim();
  const fields = line.replace(REMARK, "").replace(/[[\]]/g, "").split(/[\t,;]/);
  if (!LENGTHS.includes(fields.length) && !fields.at(-1).trim()) fields.pop(); // a comma at the end
  const gaps = LENGTHS.includes(fields.length) && fields.every((field) => field.trim().length < 2);
  if ((!bare && !gaps) || COMMENT.test(bare) || TITLE.test(bare)) return null;
  const cells = gaps
    ? fields.map((field) => field.trim() || ".")
    : [...bare.replace(BETWEEN, "")];
  const alike = new Set(cells).size === 1;
  const row = alike && LENGTHS.includes(cells.length);
  if (!gaps && FRAME.test(bare) && !(alike && cells[0] === ".") && !(row && BLANKS.test(cells[0]))) return null;
  return { cells, doubtful: row && /[-*_]/.test(cells[0]) };
}

function tokens(cells, task) {
  return cells.map((character, cell) => {
    if (BLANKS.test(character)) return BLANK;
    const digit = Number(character);
    if (digit >= 1 && digit <= task.rows) return digit + 1;
    const board = `${task.rows}x${task.rows} board`;
    throw new TextError(`${place(task, cell)} is ${character}; a ${board} has digits 1 to ${task.rows}.`);
  });
}

function parseMaze(text, tasks) {
  if (!tasks.length) throw new TextError("This is a maze, and no model here walks mazes.");
  let [first, ...others] = text.replace(/^\n+|\s+$/g, "").split(/\n{2,}/);
  let rows = first.split(/[\n/]/);
  const side = Math.sqrt(rows[0].length);
  if (rows.length > 1 && rows[0].length > 24 && Number.isInteger(side)) {
    others = rows.slice(1);
    rows = rows.slice(0, 1);
  }
  if (rows.length === 1 && Number.isInteger(side))
    rows = Array.from({ length: side }, (_, row) => rows[0].slice(row * side, (row + 1) * side));
  const columns = Math.max(...rows.map((row) => row.length));
  const task = tasks.find((one) => rows.length <= one.rows && columns <= one.columns);
  if (!task) {
    const largest = Math.max(...tasks.map((one) => one.rows));
    throw new TextError(`The maze has ${rows.length}x${columns} cells; the largest here has ${largest}x${largest}.`);
  }
  const board = new Array(task.rows * task.columns).fill(PAD);
  rows.forEach((row, r) =>
    [...row.padEnd(columns)].forEach((character, c) => {
      const cell = r * task.columns + c;
      if (!MAZE.has(character))
        throw new TextError(`${place(task, cell)} is ${character}; a maze has '#', ' ', S and G.`);
      board[cell] = MAZE.get(character);
    }),
  );
  return { task, board, more: others.length };
}

/** "Row 2, column 5". */
export const place = (task, cell) => kindOf(task) === "string" && task.rows === 1
  ? `Character ${cell + 1}`
  : `Row ${Math.floor(cell / task.columns) + 1}, column ${(cell % task.columns) + 1}`;

/** What stands in a cell, in one character. */
export function glyph(task, token) {
  if (!isRuled(task)) return character(task, token);
  if (isMaze(task)) return ["", "#", " ", "S", "G", "o"][token] ?? "?";
  return token > BLANK ? String(token - 1) : token === BLANK ? "." : "?";
}

/** A board in lines, one for each row. */
export function write(task, board) {
  if (!isRuled(task)) return writePlain(task, board);
  const [rows, columns] = extent(task, board);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => glyph(task, board[row * task.columns + column]) || " ").join(""),
  ).join("\n");
}

/** A board in few characters, for a link: `53..7...`, or the rows of a maze with `/` between. */
export function compact(task, board) {
  if (!isRuled(task)) return compactPlain(task, board);
  const text = write(task, board);
  return isMaze(task) ? text.replaceAll("\n", "/").replaceAll(" ", ".") : text.replaceAll("\n", "");
}

/** The board of `compact`. Throws TextError. */
export function expand(task, text) {
  if (!isRuled(task)) return expandPlain(task, text);
  const found = parse(isMaze(task) ? text.replaceAll("/", "\n") : text, [task], task);
  return found.board;
}

