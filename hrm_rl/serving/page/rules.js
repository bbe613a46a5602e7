// The rules of the puzzles, without a server: which cells clash, which answers are right.
// A board is an array of L tokens, row by row; a task is what GET /v1/tasks says of it.

import { isRuled, kindOf } from "./kinds.js";
import { blankPlain } from "./plain.js";

export const PAD = 0;
export const BLANK = 1; // Sudoku: digit d is token d + 1
export const [WALL, FREE, START, GOAL, PATH] = [1, 2, 3, 4, 5]; // mazes

export const isMaze = (task) => task.name === "maze";

/** The token of a cell that an answer has to find; null where the page does not know the task. */
export const openToken = (task) => (isMaze(task) ? FREE : isRuled(task) ? BLANK : null);

/** A board without clues; of a maze `size` x `size` free cells at the top left. */
export function emptyBoard(task, size = task.rows) {
  if (!isRuled(task)) return blankPlain(task, size);
  const board = new Array(task.rows * task.columns).fill(PAD);
  for (let row = 0; row < Math.min(size, task.rows); row++)
    for (let column = 0; column < Math.min(size, task.columns); column++)
      board[row * task.columns + column] = openToken(task);
  return board;
}

/** [rows, columns] of the part of a board that is not padding: what is drawn. */
export function extent(task, board) {
  let rows = 0;
  let columns = 0;
  board.forEach((token, cell) => {
    if (token === PAD) return;
    rows = Math.max(rows, Math.floor(cell / task.columns) + 1);
    columns = Math.max(columns, (cell % task.columns) + 1);
  });
  return rows ? [rows, columns] : [task.rows, task.columns];
}

/** Lists of the cells that have to differ: rows, columns, boxes. */
export function units(task) {
  const [boxRows, boxColumns] = task.box;
  const size = task.rows;
  const found = new Map();
  for (let cell = 0; cell < size * size; cell++) {
    const row = Math.floor(cell / size);
    const column = cell % size;
    const box = Math.floor(row / boxRows) * boxRows + Math.floor(column / boxColumns);
    for (const name of [`r${row}`, `c${column}`, `b${box}`]) {
      if (!found.has(name)) found.set(name, []);
      found.get(name).push(cell);
    }
  }
  return [...found.values()];
}

/** Cells of a Sudoku whose digit stands twice in a unit. */
export function clashing(task, board) {
  const cells = new Set();
  for (const unit of units(task)) {
    const places = new Map();
    for (const cell of unit) {
      if (board[cell] <= BLANK) continue;
      places.set(board[cell], [...(places.get(board[cell]) ?? []), cell]);
    }
    for (const equal of places.values()) if (equal.length > 1) equal.forEach((cell) => cells.add(cell));
  }
  return cells;
}

/** Cells beside a cell. */
export function neighbours(task, cell) {
  const column = cell % task.columns;
  const beside = [];
  if (cell >= task.columns) beside.push(cell - task.columns);
  if (cell + task.columns < task.rows * task.columns) beside.push(cell + task.columns);
  if (column > 0) beside.push(cell - 1);
  if (column < task.columns - 1) beside.push(cell + 1);
  return beside;
}

/** Steps from `start` to each cell along cells that `open` accepts; -1 where there is no way. */
export function steps(task, start, open) {
  const distance = new Array(task.rows * task.columns).fill(-1);
  distance[start] = 0;
  for (let queue = [start]; queue.length; ) {
    const next = [];
    for (const cell of queue)
      for (const other of neighbours(task, cell))
        if (distance[other] < 0 && open(other)) {
          distance[other] = distance[cell] + 1;
          next.push(other);
        }
    queue = next;
  }
  return distance;
}

/** Cells of a puzzle that break the rule before anybody has thought. */
export function clashes(task, puzzle) {
  if (!isRuled(task)) return new Set();
  if (!isMaze(task)) return clashing(task, puzzle);
  const many = (token) => puzzle.flatMap((found, cell) => (found === token ? [cell] : []));
  return new Set([START, GOAL].map(many).flatMap((cells) => (cells.length > 1 ? cells : [])));
}

/** Why a puzzle cannot be thought about, in a sentence, or null. Whether a Sudoku has one solution is for
 * others to say. */
export function problem(task, puzzle) {
  if (kindOf(task) === "string" && !puzzle.some(Boolean)) return "There is no string yet: type one below.";
  if (!isMaze(task)) return null; // the backend names the cells
  const start = puzzle.indexOf(START);
  const goal = puzzle.indexOf(GOAL);
  if (start < 0 || goal < 0) return `The maze has no ${start < 0 ? "start" : "goal"} yet.`;
  if (steps(task, start, (cell) => puzzle[cell] > WALL)[goal] < 0)
    return "The goal cannot be reached from the start.";
  return null;
}

/** Cells of an answer that break the rule. */
export function violations(task, puzzle, answer) {
  if (isMaze(task)) return mazeViolations(task, puzzle, answer);
  const cells = clashing(task, answer);
  answer.forEach((token, cell) => {
    if (token <= BLANK || (puzzle[cell] > BLANK && token !== puzzle[cell])) cells.add(cell);
  });
  return cells;
}

function mazeViolations(task, puzzle, answer) {
  const cells = new Set();
  answer.forEach((token, cell) => {
    const kept = puzzle[cell] === FREE ? token === FREE || token === PATH : token === puzzle[cell];
    if (!kept && puzzle[cell] !== PAD) cells.add(cell);
  });
  const start = puzzle.indexOf(START);
  const goal = puzzle.indexOf(GOAL);
  if (start < 0 || goal < 0) return cells;
  const onLine = (cell) => cell === start || cell === goal || (puzzle[cell] === FREE && answer[cell] === PATH);
  const along = steps(task, start, onLine);
  const line = answer.flatMap((_, cell) => (onLine(cell) ? [cell] : []));
  for (const cell of line) {
    const degree = neighbours(task, cell).filter(onLine).length;
    const wanted = cell === start || cell === goal ? 1 : 2;
    if (degree !== wanted || along[cell] < 0) cells.add(cell);
  }
  const shortest = steps(task, start, (cell) => puzzle[cell] > WALL)[goal];
  if (!cells.size && along[goal] > shortest) line.forEach((cell) => cells.add(cell));
  return cells;
}

/** Whether an answer is right by the rule. */
export const solves = (task, puzzle, answer) => !violations(task, puzzle, answer).size;
