// Models in ONNX, run by onnxruntime-web: on the graphics card where the browser reaches one (WebGPU), else on
// one thread of the processor (WebAssembly). Only the build that is used is loaded.
//
// Legend: L cells, V tokens, S positions, D width of the state.

import { BackendError } from "./fault.js";

const BUILDS = {
  wasm: { script: "ort.wasm.min.mjs", module: "ort-wasm-simd-threaded" },
  webgpu: { script: "ort.webgpu.min.mjs", module: "ort-wasm-simd-threaded.asyncify" },
};
const AT = new URL("../", import.meta.url);
const FAR = 0.01; // what a Q-value may be off before a graphics card is not trusted

const opened = new Map(); // networks that were opened, or are being, by the name of the model
let started = null; // {ort, kind}, or the promise of it
let before = Promise.resolve(); // the segment that was begun last: the runtime does one at a time

/** The network of a model. Throws BackendError. */
export function open(model) {
  if (!opened.has(model.name)) opened.set(model.name, load(model).catch((error) => {
    opened.delete(model.name);
    throw error;
  }));
  return opened.get(model.name);
}

/** Where networks run: "wasm" or "webgpu". */
export const runsOn = async () => (await started)?.kind ?? null;

async function load(model) {
  const file = await bytes(`models/${encodeURIComponent(model.name)}.onnx`);
  started ??= begin(await preferred());
  let runtime = await started;
  let network = await session(runtime, model.segment, file).catch(() => null);
  if (runtime.kind === "webgpu" && !(await network?.agrees())) {
    started = begin("wasm");
    runtime = await started;
    network = await session(runtime, model.segment, file);
  }
  if (!network) throw new BackendError("internal", `This browser cannot run ${model.name}.`);
  document.documentElement.dataset.runs = runtime.kind;
  return network;
}

async function session({ ort, kind }, about, file) {
  const options = { executionProviders: [kind], graphOptimizationLevel: "all" };
  return new Network(ort, about, await ort.InferenceSession.create(file, options));
}

/** WebGPU where there is a card behind it; the address may ask for one with ?on=wasm or ?on=webgpu. */
async function preferred() {
  const asked = new URLSearchParams(location.search).get("on");
  if (asked in BUILDS) return asked;
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter && !adapter.info?.isFallbackAdapter ? "webgpu" : "wasm";
}

async function begin(kind) {
  const { script, module } = BUILDS[kind];
  const ort = await import(new URL(`ort/${script}`, AT));
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that a plain file host does not send
  ort.env.wasm.wasmPaths = { mjs: new URL(`ort/${module}.mjs`, AT).href };
  ort.env.wasm.wasmBinary = await unpacked(await bytes(`ort/${module}.wasm.gz`));
  return { ort, kind };
}

async function bytes(name) {
  const response = await fetch(new URL(name, AT)).catch(() => null);
  if (!response?.ok) throw new BackendError("offline", `The page's file ${name} cannot be read. Is its host still there?`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Some hosts say that a .gz is a compressed file, and then the browser has unpacked it already. */
async function unpacked(packed) {
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed.buffer;
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** One model: a segment, and the state to begin with. */
class Network {
  /** about: what hrm_rl/export/description.py says of the segment, and a `check`. */
  constructor(ort, about, runtime) {
    Object.assign(this, { ort, about, runtime, length: about.rows * about.columns });
    this.learnsContinue = about.halts_where !== "q_halt > 0";
  }

  /** The state of a puzzle that has not begun: by name, S * D numbers. */
  initial() {
    const { initial, positions } = this.about;
    return Object.fromEntries(Object.entries(initial).map(([name, row]) => {
      const all = new Float32Array(positions * row.length);
      for (let position = 0; position < positions; position++) all.set(row, position * row.length);
      return [name, all];
    }));
  }

  /** One segment: {state, logits: L * V numbers, q: [halt, continue]}. board: L tokens. */
  segment(state, board) {
    const run = before.then(() => this.#run(state, board));
    before = run.catch(() => {});
    return run;
  }

  async #run(state, board) {
    const { Tensor } = this.ort;
    const { positions } = this.about;
    const feed = { tokens: new Tensor("int64", BigInt64Array.from(board, BigInt), [1, board.length]) };
    for (const [name, numbers] of Object.entries(state))
      feed[name] = new Tensor("float32", numbers, [1, positions, numbers.length / positions]);
    if (this.about.identifiers) feed.identifier = new Tensor("int64", BigInt64Array.of(0n), [1]);
    const found = await this.runtime.run(feed);
    const next = Object.keys(state).map((name) => [name, found[`next_${name}`].data]);
    return { state: Object.fromEntries(next), logits: found.logits.data, q: [...found.q.data] };
  }

  /** Whether it comes to the Q-values that Python came to on one puzzle. */
  async agrees() {
    const { tokens, q } = this.about.check;
    const found = await this.segment(this.initial(), tokens).catch(() => null);
    return Boolean(found) && q.every((value, i) => Math.abs(found.q[i] - value) < FAR);
  }
}

/** The answer (L tokens) of logits: given cells are copied where the model was trained on blanks alone. */
export function likely(about, logits, board) {
  const count = logits.length / board.length;
  return board.map((token, cell) => {
    if (about.loss_on !== "all" && !about.unknown.includes(token)) return token;
    return first(logits.subarray(cell * count, (cell + 1) * count));
  });
}

/** The place of the largest number, the first of them. */
export function first(numbers) {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i] > numbers[best]) best = i;
  return best;
}

/** L lists of V probabilities, in 32 bits as Python has them, as the loss of the answer reads logits. */
export function probabilities(about, logits) {
  const length = about.rows * about.columns;
  const count = logits.length / length;
  return Array.from({ length }, (_, cell) => {
    const row = logits.subarray(cell * count, (cell + 1) * count);
    const most = Math.max(...row);
    const score = about.loss === "stablemax"
      ? (x) => (x >= 0 ? x + 1 : 1 / (1 - x))
      : (x) => Math.exp(Math.fround(x - most));
    const scores = Float32Array.from(row, score);
    const sum = Math.fround(scores.reduce((total, one) => total + one, 0));
    return Array.from(scores, (one) => Math.fround(one / sum));
  });
}
