// Strings, grids of colours and boards whose rules are not known here, as people write, paste and link them.

import { TextError } from "./fault.js";
import { character, colourOf, gridOf, kindOf, linesOf, painted } from "./kinds.js";

const SHOWN = 24; // characters that an error lists

/** The puzzle of a text for one such task: {board, identifier}, identifier null where the text names none. Throws
 * TextError. */
export function parsePlain(task, text) {
  const kind = kindOf(task);
  if (kind === "string") return { board: parseString(task, text), identifier: null };
  const { rest, identifier } = named(task, text);
  return { board: kind === "colours" ? parseGrid(task, rest) : parseBoard(task, rest), identifier };
}

/** A name of an identity on a line of its own before the puzzle. */
function named(task, text) {
  const [first, ...rest] = text.trim().split("\n");
  const found = task.identities.find((one) => one.name === first.trim());
  return found ? { rest: rest.join("\n"), identifier: found.identifier } : { rest: text, identifier: null };
}

function tokenAt(task, found, where) {
  const token = task.characters.indexOf(found);
  if (token > 0) return token;
  const known = [...task.characters].slice(1);
  const listed = known.slice(0, SHOWN).map((one) => (one === " " ? "blanks" : one)).join(" ");
  throw new TextError(`${where} is "${found}"; this task has ${listed}${known.length > SHOWN ? " …" : ""}.`);
}

function parseString(task, text) {
  let lines = text.replace(/\n+$/, "").split("\n");
  if (task.characters.includes("\n") || (task.rows === 1 && lines.length > 1)) lines = [lines.join("\n")];
  if (!task.characters.includes("\n")) lines = lines.map((line) => line.replaceAll("\n", ""));
  if (!task.characters.includes(" ")) lines = lines.map((line) => line.replace(/\s/g, ""));
  if (lines.length > task.rows) throw new TextError(`The text has ${lines.length} lines; there are ${task.rows}.`);
  const board = new Array(task.rows * task.columns).fill(0);
  lines.forEach((line, row) => {
    const found = [...line];
    if (found.length > task.columns)
      throw new TextError(`The string has ${found.length} characters; the longest here has ${task.columns}.`);
    found.forEach((one, i) => (board[row * task.columns + i] = tokenAt(task, one, `Character ${i + 1}`)));
  });
  return board;
}

/** The rows of a text: JSON's lists, or lines of digits with or without anything between. */
function rowsOf(text) {
  if (/^\s*\[\s*\[/.test(text)) {
    try {
      const rows = JSON.parse(text);
      if (rows.every((row) => Array.isArray(row))) return rows.map((row) => row.map(String));
    } catch {
      // said below
    }
    throw new TextError("The text is no list of lists of numbers.");
  }
  return text.split("\n").map((line) => [...line.replace(/[\s,;[\]|]/g, "")]).filter((row) => row.length);
}

function parseGrid(task, text) {
  const rows = rowsOf(text);
  if (!rows.length || !rows[0].length) throw new TextError("There is no grid in the text.");
  if (rows.length === task.rows && rows.every((row) => row.length === task.columns) && rows.flat().some((one) => !/^\d$/.test(one)))
    return rows.flat().map((one) => Math.max(0, task.characters.indexOf(one))); // the whole canvas, with its marks
  rows.forEach((row, r) => {
    if (row.length !== rows[0].length)
      throw new TextError(`Row ${r + 1} has ${row.length} cells; row 1 has ${rows[0].length}.`);
    row.forEach((one, c) => {
      if (!/^\d$/.test(one) || !task.characters.includes(one))
        throw new TextError(`Row ${r + 1}, column ${c + 1} is ${one}; colours are 0 to 9.`);
    });
  });
  if (rows.length > task.rows || rows[0].length > task.columns)
    throw new TextError(`The grid has ${rows.length}×${rows[0].length} cells; the largest here has ${task.rows}×${task.columns}.`);
  return painted(task, rows.map((row) => row.map(Number)));
}

function parseBoard(task, text) {
  const kept = task.characters.includes(" ") ? text.replaceAll("\n", "") : text.replace(/[\s|]/g, "");
  const found = [...kept];
  if (found.length !== task.rows * task.columns)
    throw new TextError(`The text has ${found.length} cells; a board has ${task.rows * task.columns}.`);
  return found.map((one, cell) => {
    const where = `Row ${Math.floor(cell / task.columns) + 1}, column ${(cell % task.columns) + 1}`;
    return one === task.characters[0] ? 0 : tokenAt(task, one, where);
  });
}

/** A board of such a task in lines, as `parsePlain` reads them. */
export function writePlain(task, board) {
  if (kindOf(task) === "colours") return gridOf(task, board).map((row) => row.join("")).join("\n");
  return linesOf(task, board).map((line) => line.map((cell) => (board[cell] ? task.characters[board[cell]] : "")).join("")).join("\n");
}

/** The same for a link, from which `parsePlain` gets every token back. */
export function compactPlain(task, board) {
  const whole = () => Array.from({ length: task.rows }, (_, row) =>
    board.slice(row * task.columns, (row + 1) * task.columns).map((token) => task.characters[token]).join("")).join("\n");
  if (kindOf(task) === "board") return whole().replaceAll("\n", "");
  const short = writePlain(task, board);
  if (kindOf(task) !== "colours") return short;
  return painted(task, gridOf(task, board)).every((token, cell) => token === board[cell]) ? short : whole();
}

/** A board to begin with: empty, or `size` x `size` cells of the first colour. */
export function blankPlain(task, size) {
  if (kindOf(task) === "colours")
    return painted(task, Array.from({ length: Math.min(size, task.rows) }, () => new Array(Math.min(size, task.columns)).fill(0)));
  return new Array(task.rows * task.columns).fill(kindOf(task) === "string" ? 0 : 1);
}

/** A grid made larger or smaller at its lower right; new cells have the first colour. */
export function resized(task, board, rows, columns) {
  const grid = gridOf(task, board);
  return painted(task, Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => grid[r]?.[c] ?? 0)));
}

/** What is on the board, in a sentence. */
export function aboutPlain(task, board) {
  const lines = linesOf(task, board);
  const count = lines.reduce((sum, line) => sum + line.length, 0);
  if (kindOf(task) === "string") {
    if (!board.some(Boolean)) return "No string yet.";
    return `A string of ${count} character${count === 1 ? "" : "s"}.`;
  }
  const what = kindOf(task) === "colours" ? "A grid" : "A board";
  return `${what} of ${lines.length}×${lines[0].length} cells.`;
}

/** The tokens that a reader may write: [[token, name], ...]. */
export function writable(task) {
  return [...task.characters].flatMap((_, token) => {
    if (!token || (kindOf(task) === "colours" && colourOf(task, token) === null)) return [];
    return [[token, character(task, token)]];
  });
}
