// Symmetric forms of a puzzle, as envs/sudoku/symmetries.py and envs/maze/symmetries.py have them.

import { PAD, isMaze } from "./rules.js";

/** The puzzle itself. */
export const same = { apply: (board) => board, undo: (board) => board, undoChances: (chances) => chances };

/** A puzzle of the same difficulty and the way back. draw(): a number in [0, 1). */
export const randomForm = (task, puzzle, draw) => (isMaze(task) ? mazeForm(task, puzzle, draw) : sudokuForm(task, draw));

/** 0 .. count - 1 in random order. */
function shuffled(count, draw) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** An order of rows that keeps bands together, or of columns and stacks. */
const lines = (size, band, draw) =>
  shuffled(size / band, draw).flatMap((block) => shuffled(band, draw).map((line) => block * band + line));

function sudokuForm(task, draw) {
  const { rows: size, box: [boxRows, boxColumns] } = task;
  const tokens = [0, 1, ...shuffled(size, draw).map((digit) => digit + 2)];
  const back = tokens.map((_, token) => tokens.indexOf(token));
  const rows = lines(size, boxRows, draw);
  const columns = lines(size, boxColumns, draw);
  const turned = boxRows === boxColumns && draw() < 0.5;
  const cells = rows.flatMap((row) =>
    columns.map((column) => (turned ? column * size + row : row * size + column)));
  const placed = (values) => {
    const found = new Array(values.length);
    cells.forEach((cell, i) => (found[cell] = values[i]));
    return found;
  };
  return {
    apply: (board) => cells.map((cell) => tokens[board[cell]]),
    undo: (board) => placed(board.map((token) => back[token])),
    undoChances: (chances) => placed(chances.map((row) => tokens.map((token) => row[token]))),
  };
}

/** One of the seven that change a maze: rows reversed, columns reversed, then both exchanged. */
function mazeForm(task, puzzle, draw) {
  const which = 1 + Math.floor(draw() * 7);
  const { columns: size } = task;
  const there = puzzle.flatMap((token, cell) => (token === PAD ? [] : [[Math.floor(cell / size), cell % size]]));
  const [top, left] = [0, 1].map((axis) => Math.min(...there.map((place) => place[axis])));
  const [height, width] = [top, left].map((edge, axis) => Math.max(...there.map((place) => place[axis])) + 1 - edge);
  const cells = puzzle.map((_, cell) => {
    const [row, column] = [Math.floor(cell / size), cell % size];
    let [i, j] = which & 4 ? [column, row] : [row, column];
    if (i >= height || j >= width) return -1;
    if (which & 1) i = height - 1 - i;
    if (which & 2) j = width - 1 - j;
    return (top + i) * size + left + j;
  });
  const placed = (values, outside) => {
    const found = values.map(() => outside);
    cells.forEach((cell, i) => cell >= 0 && (found[cell] = values[i]));
    return found;
  };
  return {
    apply: (board) => cells.map((cell) => (cell < 0 ? PAD : board[cell])),
    undo: (board) => placed(board, PAD),
    undoChances: (chances) => placed(chances, chances[0].map((_, token) => Number(token === PAD))),
  };
}
