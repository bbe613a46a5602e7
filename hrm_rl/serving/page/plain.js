// Strings, grids of colours and boards whose rules are not known here, as people write and link them. What a text
// means, its task says: a service reads it.

import { TextError } from "./fault.js";
import { character, colourOf, gridOf, kindOf, linesOf, painted } from "./kinds.js";

/** A text as the task of a service reads it: JSON's lists of lists become lines. */
export function asRows(task, text) {
  if (kindOf(task) !== "colours" || !/^\s*\[\s*\[/.test(text)) return text;
  try {
    const rows = JSON.parse(text);
    if (rows.every((row) => Array.isArray(row))) return rows.map((row) => row.join("")).join("\n");
  } catch {
    // said below
  }
  throw new TextError("The text is no list of lists of numbers.");
}

/** Whether a text may be meant for such a task, by its characters. */
export const mayBe = (task, text) => (kindOf(task) === "colours" ? /^[\d\s,[\]]+$/.test(text)
  : [...text.replace(/\s/g, "")].every((one) => task.characters.includes(one)));

/** A board of such a task in lines. */
export function writePlain(task, board) {
  if (kindOf(task) === "colours") return gridOf(task, board).map((row) => row.join("")).join("\n");
  return linesOf(task, board).map((line) => line.map((cell) => (board[cell] ? task.characters[board[cell]] : "")).join("")).join("\n");
}

/** Every token of it in few characters, for a link; padding at the end is left out. */
export function compactPlain(task, board) {
  const end = board.findLastIndex(Boolean) + 1;
  return board.slice(0, end).map((token) => [...task.characters][token]).join("");
}

/** The board of `compactPlain`. Throws TextError. */
export function expandPlain(task, text) {
  const [known, found] = [[...task.characters], [...text]];
  const board = new Array(task.rows * task.columns).fill(0);
  if (found.length > board.length || found.some((one) => !known.includes(one)))
    throw new TextError("The link holds no puzzle of this kind.");
  found.forEach((one, cell) => (board[cell] = known.indexOf(one)));
  return board;
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
