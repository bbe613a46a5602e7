// What there is to see of a board: one record for each cell, for the page, for pictures and for words.

import { isRuled, kindOf } from "./kinds.js";
import { PATH, clashes, isMaze, openToken } from "./rules.js";

const SURE = 0.97; // more is drawn as certain
const MOST_CANDIDATES = 9;

/** Whether a cell of a puzzle is given. unknown: the cells that an answer has to find, where the page does not
 * know the task; null where that was not told, and then all of them are. */
export function isGiven(task, puzzle, cell, unknown) {
  if (isRuled(task)) return puzzle[cell] !== openToken(task);
  return unknown ? !unknown.includes(cell) : false;
}

/** What a label says of an answer that the server cannot judge: what a segment lacks. */
export function judged({ answer, solved }, label) {
  if (solved !== null || !label) return {};
  const wrong = answer.flatMap((token, cell) => (label[cell] && token !== label[cell] ? [cell] : []));
  return { solved: !wrong.length, wrong };
}

/** The cells of a puzzle, or of the answer of a segment (an event of backend.js, and `fresh`: whether it is
 * the first of its start). unknown: as in isGiven.
 * {token, given, trust, doubtful, path, changed, broken, wrong, assumed}: `trust` is the probability of the token,
 * `path` that of a maze's mark. */
export function cellsOf(task, puzzle, segment = null, fault = null, unknown = null) {
  if (!segment) {
    const broken = clashes(task, puzzle);
    if (fault !== null) broken.add(fault);
    return puzzle.map((token, cell) => ({
      token, given: token !== openToken(task), trust: 1, doubtful: false, path: 0,
      changed: false, broken: broken.has(cell), wrong: false, assumed: false,
    }));
  }
  const open = isRuled(task) || !unknown ? null : new Set(unknown);
  const changed = new Set(segment.fresh ? [] : segment.changed); // a fresh start fills all
  const broken = new Set(segment.violations);
  // Another way through a maze is not wrong, so only its rule judges it.
  const wrong = new Set(segment.solved || isMaze(task) ? [] : (segment.wrong ?? []));
  const string = kindOf(task) === "string";
  const nothing = { token: 0, given: true, trust: 1, path: 0 };
  return segment.answer.map((token, cell) => {
    if (string && !puzzle[cell]) return nothing; // the model was never taught anything there
    const chances = segment.probabilities?.[cell];
    const trust = chances ? chances[token] : 1;
    const asked = isRuled(task) ? puzzle[cell] === openToken(task) : (open?.has(cell) ?? true);
    return {
      token, given: !asked, trust, doubtful: asked && trust < SURE, path: asked ? (chances?.[PATH] ?? 0) : 0,
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
  if (!isRuled(task)) {
    const likeliest = chances.map((share, token) => [token, share]).sort((a, b) => b[1] - a[1]);
    return likeliest.slice(0, MOST_CANDIDATES).sort((a, b) => a[0] - b[0]);
  }
  const first = 2; // Sudoku: the digit 1; mazes: a free cell
  const kept = isMaze(task) ? [2, PATH] : chances.map((_, token) => token).slice(first);
  return kept.map((token) => [token, chances[token]]);
}
