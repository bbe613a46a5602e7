// The puzzle that is edited: its board, its kind, what is known of it, and the way back.

import { isRuled, kindOf } from "./kinds.js";
import { aboutPlain } from "./plain.js";
import { GOAL, START, emptyBoard, extent, isMaze, openToken } from "./rules.js";

const MOST_STEPS = 200;

export class Puzzle {
  /** changed(): the board is another one. */
  constructor(changed) {
    Object.assign(this, { changed, task: null, board: [], note: "", identifier: 0, label: null, past: [] });
  }

  /** Another board. note: what is known of it, in a sentence. identifier: its identity, as before if not said.
   * label: the right answer, where only that tells. */
  set(task, board, note = "", { identifier = task === this.task ? this.identifier : 0, label = null } = {}) {
    const { past, changed, ...before } = this;
    if (this.task) this.past = [...past.slice(1 - MOST_STEPS), before];
    Object.assign(this, { task, board, note, identifier, label });
    this.changed();
  }

  /** Another identity; what was known of the answer goes. */
  identify(identifier) {
    if (identifier !== this.identifier) this.set(this.task, this.board, "", { identifier });
  }

  clear(size = extent(this.task, this.board)[0]) {
    this.set(this.task, emptyBoard(this.task, size));
  }

  undo() {
    const before = this.past.pop();
    if (!before) return;
    Object.assign(this, before);
    this.changed();
  }

  /** Write a token into a cell. A maze has one start and one goal: an older one goes. */
  write(cell, token) {
    if (this.board[cell] === token || (this.board[cell] === 0 && kindOf(this.task) !== "string")) return;
    const board = [...this.board];
    if (isMaze(this.task) && (token === START || token === GOAL)) {
      const old = board.indexOf(token);
      if (old >= 0) board[old] = openToken(this.task);
    }
    board[cell] = token;
    this.set(this.task, board);
  }

  /** In words: what is on the board. */
  get summary() {
    if (!isRuled(this.task)) return `${aboutPlain(this.task, this.board)} ${this.note}`.trim();
    const open = this.board.filter((token) => token === openToken(this.task)).length;
    const [rows, columns] = extent(this.task, this.board);
    const what = isMaze(this.task)
      ? `A maze of ${rows}×${columns} cells.`
      : `${rows * columns - open} clues, ${open} cells to find.`;
    return this.note ? `${what} ${this.note}` : what;
  }
}
