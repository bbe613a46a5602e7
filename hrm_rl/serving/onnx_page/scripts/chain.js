// A search, as hrm_rl/agents/search/chains.py does it with one chain: the model assumes what it is surest of,
// doubts, and starts over in another form of the puzzle. Only what the rule accepts is handed in.

import { randomForm, same } from "./forms.js";
import { first, likely, probabilities } from "./network.js";
import { contradicts } from "./proof.js";
import { solves } from "./rules.js";

const probability = (logit) => 1 / (1 + Math.exp(-logit));

export class Chain {
  /** seed: of what is drawn after the first start, which draws nothing. */
  constructor(network, task, puzzle, budget, seed) {
    Object.assign(this, { network, task, puzzle, budget, how: network.about.search, draw: generator(seed) });
    Object.assign(this, { spent: 0, start: 0 });
    this.#begin(same);
  }

  /** One segment, and what follows from it. */
  async think() {
    const { network, task, how, form, inputs, board, start } = this;
    const { state, logits, q } = await network.segment(this.state, board);
    const chances = probabilities(network.about, logits);
    this.state = state;
    this.spent += 1;
    this.age += 1;
    if (this.age === 1) this.root = q[1];
    const answer = likely(network.about, logits, board);
    const solved = solves(task, inputs, answer);
    const last = solved || this.spent >= this.budget;

    const doubted = !last && (this.#doubts(q[1]) || this.age === how.patience);
    const due = !last && !doubted && how.assume_every > 0 && this.age % how.assume_every === 0;
    const assumed = due ? this.#assumptions(chances) : board.map(() => 0);
    this.board = board.map((token, cell) => assumed[cell] || token);
    const contradicted = due && contradicts(task, this.board);
    const over = doubted || contradicted;
    if (over) {
      this.start += 1;
      this.#begin(randomForm(task, this.puzzle, this.draw));
    }
    return {
      segment: this.spent, start, board: form.undo(board), answer: form.undo(answer),
      probabilities: form.undoChances(chances), q: [q[0], network.learnsContinue ? q[1] : null], solved,
      decision: solved ? "hand in" : last ? "give up" : over ? "start over" : "continue",
      contradicted, assumed: form.undo(assumed),
    };
  }

  #begin(form) {
    this.form = form;
    this.inputs = this.board = form.apply(this.puzzle);
    this.age = 0;
    this.state = this.network.initial();
  }

  /** Whether starting over is worth more than continuing. */
  #doubts(qContinue) {
    const { doubt } = this.how;
    if (!doubt || this.age < doubt.after + this.start) return false;
    if (doubt.kind === "supervised")
      return qContinue < 0 && this.board.some((token, cell) => token !== this.inputs[cell]);
    return probability(qContinue) < doubt.discount * probability(this.root);
  }

  /** L tokens to write into the board, 0 where nothing: the likeliest, or, after the first start, drawn. */
  #assumptions(chances) {
    const { board, how, network } = this;
    const { unknown } = network.about;
    const allowed = (token) => how.assumable.includes(token);
    const likeliest = chances.map(first);
    const blank = board.flatMap((token, cell) => (unknown.includes(token) && allowed(likeliest[cell]) ? [cell] : []));
    const sure = (cell) => chances[cell][likeliest[cell]];
    const chosen = [...blank].sort((a, b) => sure(b) - sure(a)).slice(0, Math.ceil(how.assume_share * blank.length));
    const assumed = board.map(() => 0);
    for (const cell of chosen) {
      const drawn = this.start ? this.#drawn(chances[cell], allowed) : likeliest[cell];
      assumed[cell] = allowed(drawn) ? drawn : likeliest[cell];
    }
    return assumed;
  }

  #drawn(row, allowed) {
    const weights = row.map((chance, token) => (allowed(token) ? chance ** (1 / this.how.temperature) : 0));
    const sums = [];
    weights.forEach((weight, token) => sums.push(weight + (sums[token - 1] ?? 0)));
    const point = this.draw() * sums.at(-1);
    return sums.slice(0, -1).filter((sum) => sum <= point).length;
  }
}

/** Numbers in [0, 1) that a seed decides (mulberry32). */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
