// What there is to see of a board: one record for each cell, for the page, for pictures and for words.

import { PATH, clashes, isMaze, openToken } from "./rules.js";

const SURE = 0.97; // more is drawn as certain

/** The cells of a puzzle, or of the answer of a segment (an event of backend.js, and `fresh`: whether it is
 * the first of its start).
 * {token, given, trust, doubtful, path, changed, broken, wrong, assumed}: `trust` is the probability of the token,
 * `path` that of a maze's mark. */
export function cellsOf(task, puzzle, segment = null, fault = null) {
  if (!segment) {
    const broken = clashes(task, puzzle);
    if (fault !== null) broken.add(fault);
    return puzzle.map((token, cell) => ({
      token, given: token !== openToken(task), trust: 1, doubtful: false, path: 0,
      changed: false, broken: broken.has(cell), wrong: false, assumed: false,
    }));
  }
  const changed = new Set(segment.fresh ? [] : segment.changed); // a fresh start fills all
  const broken = new Set(segment.violations);
  // Another way through a maze is not wrong, so only its rule judges it.
  const wrong = new Set(segment.solved || isMaze(task) ? [] : (segment.wrong ?? []));
  return segment.answer.map((token, cell) => {
    const chances = segment.probabilities?.[cell];
    const trust = chances ? chances[token] : 1;
    const open = puzzle[cell] === openToken(task);
    return {
      token, given: !open, trust, doubtful: open && trust < SURE, path: open ? (chances?.[PATH] ?? 0) : 0,
      changed: changed.has(cell), broken: broken.has(cell), wrong: wrong.has(cell),
      assumed: segment.board[cell] !== puzzle[cell] || segment.assumed[cell] > 0,
    };
  });
}

/** Whether a segment ends in starting over. */
export const abandoned = (segment) => segment.decision === "start over";

/** Q-values are logits; this is the chance that they stand for. */
export const chance = (logit) => 1 / (1 + Math.exp(-logit));

/** Tokens that can stand in an open cell, with their probabilities: [[token, probability], ...]. */
export function candidates(task, segment, cell) {
  const chances = segment.probabilities?.[cell];
  if (!chances) return [];
  const first = 2; // Sudoku: the digit 1; mazes: a free cell
  const kept = isMaze(task) ? [2, PATH] : chances.map((_, token) => token).slice(first);
  return kept.map((token) => [token, chances[token]]);
}
