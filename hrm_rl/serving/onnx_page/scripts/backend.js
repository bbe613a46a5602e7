// The way of the page to a model where there is no server: models in ONNX that lie beside it, run by the
// browser. It stands in the place of the page's own backend.js and tells of the same events.

import { Chain } from "./chain.js";
import { BackendError } from "./fault.js";
import { likely, open, probabilities } from "./network.js";
import { prove } from "./proof.js";
import { isMaze, solves, violations } from "./rules.js";

export { BackendError };

const ENDINGS = ["halt", "spent", "hand in", "give up"];
const known = new Map(); // what was fetched, by its name

export async function models() {
  const { models: found } = await fetched("models.json");
  open(found[0]).catch(() => {}); // so that the first answer does not wait for it
  return found;
}

export async function tasks() {
  return (await fetched("models.json")).tasks;
}

/** One of the puzzles that were exported with the page, each proven to have a solution. */
export async function random(slug, level) {
  const task = (await tasks()).find((one) => one.task === slug);
  const some = (await fetched(`puzzles/${slug}.json`))[level];
  const seed = Math.floor(Math.random() * some.length);
  const tokens = [...some[seed]].map((character) => task.characters.indexOf(character));
  const { solution, length } = prove(task, tokens);
  return { task: slug, level, puzzle: some[seed], tokens, solution, length, solutions: isMaze(task) ? null : 1, seed };
}

/** Think about one puzzle. Yields {event, data} for begin, segment and result; throws BackendError.
 * request: {puzzle: tokens, model, mode, segments, seed, allow_unproven}, as for a server. */
export async function* think(request, signal) {
  const { models: all, tasks: kinds } = await fetched("models.json");
  const model = all.find((one) => one.name === request.model) ?? all[0];
  const task = kinds.find((one) => one.task === model.task);
  const inputs = request.puzzle;
  const solution = request.allow_unproven ? null : prove(task, inputs).solution;
  const mode = request.mode ?? model.default_mode;
  const segments = request.segments ?? (mode === "search" ? model.search_segments : model.segments);
  const about = { model: model.name, version: model.version, task: task.task };
  yield { event: "begin", data: { id: "", ...about, inputs, solution, mode, segments } };

  const network = await open(model);
  const started = performance.now();
  const thoughts = mode === "search"
    ? new Chain(network, task, inputs, segments, request.seed ?? 0)
    : new Thinking(network, task, inputs, segments, mode === "adaptive");
  const q = [];
  for (let last = null; !last || !ENDINGS.includes(last.decision); ) {
    const seen = await thoughts.think();
    if (signal?.aborted) return;
    q.push(seen.q.map((value) => value === null ? null : rounded(value, 4)));
    yield { event: "segment", data: told(task, inputs, solution, seen, last) };
    last = seen;
    if (ENDINGS.includes(seen.decision)) {
      const { answer: tokens, solved, decision, segment, start } = seen;
      const answer = tokens.map((token) => task.characters[token]).join("");
      const seconds = (performance.now() - started) / 1000;
      const result = { answer, tokens, inputs, solved, decision, segments: segment, starts: start, q };
      yield { event: "result", data: { ...about, ...result, queued: 0, seconds } };
    }
    await new Promise((resolve) => setTimeout(resolve)); // the page may draw, and stop it
  }
}

/** Segments of one puzzle until the model wants to halt, or its budget is spent. */
class Thinking {
  constructor(network, task, inputs, budget, adaptive) {
    Object.assign(this, { network, task, inputs, budget, adaptive, segment: 0, state: network.initial() });
  }

  async think() {
    const { network, task, inputs } = this;
    const { state, logits, q } = await network.segment(this.state, inputs);
    this.state = state;
    this.segment += 1;
    const answer = likely(network.about, logits, inputs);
    const halts = this.adaptive && q[0] > (network.learnsContinue ? q[1] : 0);
    return {
      segment: this.segment, start: 0, board: inputs, answer, probabilities: probabilities(network.about, logits),
      q: [q[0], network.learnsContinue ? q[1] : null], solved: solves(task, inputs, answer),
      decision: halts ? "halt" : this.segment >= this.budget ? "spent" : "continue",
      contradicted: false, assumed: inputs.map(() => 0),
    };
  }
}

/** A segment as the page hears of it. last: the one before, or null. */
function told(task, inputs, solution, seen, last) {
  const { q, probabilities: chances, ...rest } = seen;
  const before = last && last.start === seen.start ? last.answer : seen.answer;
  const cells = (differs) => seen.answer.flatMap((token, cell) => (differs(token, cell) ? [cell] : []));
  return {
    ...rest,
    q_halt: rounded(q[0], 4),
    q_continue: q[1] === null ? null : rounded(q[1], 4),
    probabilities: chances.map((row) => row.map((chance) => rounded(chance, 3))),
    changed: cells((token, cell) => token !== before[cell]),
    violations: [...violations(task, inputs, seen.answer)].sort((a, b) => a - b),
    wrong: solution && !isMaze(task) ? cells((token, cell) => token !== solution[cell]) : null,
  };
}

const rounded = (value, decimals) => Math.round(value * 10 ** decimals) / 10 ** decimals;

/** A JSON file of the page, fetched once. */
function fetched(name) {
  if (!known.has(name)) known.set(name, load(name).catch((error) => {
    known.delete(name);
    throw error;
  }));
  return known.get(name);
}

async function load(name) {
  const response = await fetch(new URL(`../${name}`, import.meta.url)).catch(() => null);
  if (!response?.ok) throw new BackendError("offline", `The page's file ${name} cannot be read. Is its host still there?`);
  return response.json();
}
