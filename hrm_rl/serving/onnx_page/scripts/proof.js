// What is known of a puzzle before a model thinks about it, and of a board while one assumes: whether a Sudoku
// has exactly one solution, how long the shortest way through a maze is, whether a board contradicts itself.

import { BackendError } from "./fault.js";
import { BLANK, GOAL, PATH, START, WALL, clashing, isMaze, neighbours, problem, steps, units } from "./rules.js";

const MOST_GUESSES = 100_000; // about a second

/** {solution, length}: the one solution of a Sudoku (L tokens), else null; the cells of a maze's shortest way.
 * Throws BackendError for a puzzle without a solution, and for a Sudoku with several. */
export function prove(task, puzzle) {
  if (!isMaze(task)) return { solution: oneSolution(task, puzzle) };
  const why = problem(task, puzzle);
  if (why) throw new BackendError("invalid", why);
  return { solution: null, length: ways(task, puzzle)[puzzle.indexOf(GOAL)] + 1 };
}

/** Steps from the start to every cell of a maze. */
const ways = (task, board) => steps(task, board.indexOf(START), (cell) => board[cell] > WALL);

const placeOf = (task, cell) => ({ row: Math.floor(cell / task.columns) + 1, column: (cell % task.columns) + 1 });

function inWords(task, cell) {
  const { row, column } = placeOf(task, cell);
  return `row ${row}, column ${column}`;
}

function refuse(task, sentence, cell) {
  throw new BackendError("invalid", `the puzzle has ${sentence}`, { cell: placeOf(task, cell) });
}

function oneSolution(task, puzzle) {
  const around = peers(task);
  const clash = [...clashing(task, puzzle)].sort((a, b) => a - b);
  for (const cell of clash) {
    const other = clash.find((one) => one > cell && puzzle[one] === puzzle[cell] && around[cell].includes(one));
    if (other === undefined) continue;
    refuse(task, `no solution: ${inWords(task, cell)} and ${inWords(task, other)} are equal`, other);
  }
  const found = solutions(task, puzzle);
  if (found.length === 1) return found[0];
  if (!found.length) refuseUnsolvable(task, puzzle);
  const [one, two] = found;
  const cell = one.findIndex((token, i) => token !== two[i]);
  const digits = [one[cell] - BLANK, two[cell] - BLANK].sort();
  return refuse(task, `several solutions: ${inWords(task, cell)} can be ${digits.join(" or ")}`, cell);
}

/** Names the blank that the fewest digits fit, by what it sees, and that none of them does. */
function refuseUnsolvable(task, puzzle) {
  const around = peers(task);
  const digits = Array.from({ length: task.rows }, (_, i) => i + 1);
  const fitting = (cell) => {
    const seen = new Set(around[cell].map((other) => puzzle[other] - BLANK));
    return digits.filter((digit) => !seen.has(digit));
  };
  const blanks = puzzle.flatMap((token, cell) => (token === BLANK ? [cell] : []));
  const cell = blanks.reduce((best, one) => (fitting(one).length < fitting(best).length ? one : best));
  const listed = fitting(cell).join(", ");
  const cannot = listed ? `cannot be ${listed}, and what it sees excludes the rest` : "can be no digit";
  refuse(task, `no solution: ${inWords(task, cell)} ${cannot}`, cell);
}

/** By cell, the other cells that have to differ from it. */
function peers(task) {
  const seen = Array.from({ length: task.rows * task.columns }, () => new Set());
  for (const unit of units(task)) for (const cell of unit) for (const other of unit) seen[cell].add(other);
  return seen.map((cells, cell) => [...cells].filter((other) => other !== cell));
}

/** Up to two solutions of a Sudoku without clashes: always the blank that the fewest digits fit is tried.
 * Throws BackendError where MOST_GUESSES do not tell. */
export function solutions(task, puzzle) {
  const around = peers(task);
  const board = [...puzzle];
  const found = [];
  let guesses = 0;
  const taken = (cell) => around[cell].reduce((bits, other) => bits | (board[other] > BLANK ? 1 << board[other] : 0), 0);
  const all = ((1 << task.rows) - 1) << (BLANK + 1);
  const size = (bits) => {
    let count = 0;
    for (let rest = bits; rest; rest &= rest - 1) count++;
    return count;
  };
  const search = () => {
    let [best, fitting, fewest] = [-1, 0, Infinity];
    for (let cell = 0; cell < board.length && fewest > 1; cell++) {
      if (board[cell] !== BLANK) continue;
      const bits = all & ~taken(cell);
      if (size(bits) < fewest) [best, fitting, fewest] = [cell, bits, size(bits)];
    }
    if (best < 0) return found.push([...board]);
    if (fewest > 1 && ++guesses > MOST_GUESSES)
      throw new BackendError("invalid", `the puzzle is too hard to prove: ${MOST_GUESSES} guesses do not tell its solutions`);
    for (let token = BLANK + 1; token <= task.rows + 1 && found.length < 2; token++) {
      if (!(fitting & (1 << token))) continue;
      board[best] = token;
      search();
    }
    board[best] = BLANK;
  };
  search();
  return found;
}

/** Whether what was assumed on a board cannot be part of an answer, as far as a glance tells: as `contradicts`
 * of envs/sudoku/solver.py and envs/maze/rule.py. */
export const contradicts = (task, board) => (isMaze(task) ? mazeContradicts(task, board) : sudokuContradicts(task, board));

function sudokuContradicts(task, board) {
  if (clashing(task, board).size) return true;
  return peers(task).some((around, cell) => board[cell] === BLANK
    && new Set(around.map((other) => board[other]).filter((token) => token > BLANK)).size === task.rows);
}

function mazeContradicts(task, board) {
  const onLine = (cell) => board[cell] === PATH || board[cell] === START || board[cell] === GOAL;
  const line = new Set(board.flatMap((_, cell) => (onLine(cell) ? [cell] : [])));
  const joined = new Map();
  for (const cell of line) {
    const beside = neighbours(task, cell);
    const wanted = board[cell] === PATH ? 2 : 1;
    joined.set(cell, beside.filter(onLine).length);
    if (joined.get(cell) > wanted || beside.filter((near) => board[near] > WALL).length < wanted) return true;
  }
  // Now the line falls into pieces with two ends, and loops. Each piece is taken away from an end.
  const takeAway = (end) => {
    let [cell, length] = [end, -1];
    for (let next = end; next !== undefined; length++) {
      cell = next;
      line.delete(cell);
      next = neighbours(task, cell).find((near) => line.has(near));
    }
    return [cell, length];
  };
  const goal = board.indexOf(GOAL);
  const [end, length] = takeAway(board.indexOf(START));
  if (end === goal) return line.size > 0 || length > ways(task, board)[goal];
  for (const cell of [...line]) if (line.has(cell) && joined.get(cell) < 2) takeAway(cell);
  return line.size > 0;
}
