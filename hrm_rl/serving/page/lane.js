// One model at work: its settings, its board, its chart, and what it has thought so far.

import { showAsked } from "./asked.js";
import { Board } from "./board.js";
import { Chart } from "./chart.js";
import { offer } from "./dom.js";
import { abandoned, candidates, cellsOf, judged } from "./view.js";
import { errorSentence, modeSentence, segmentSentence, taskName, verdict } from "./words.js";

const PATIENCE = 500; // milliseconds without an event after which the page says that it waits
const MODES = { adaptive: "Adaptive", fixed: "Fixed", search: "Search" };

export class Lane {
  /** hears: {edit, look, key} of Board, and seek(segment), settings(). */
  constructor(root, chart, backend, hears) {
    const part = (name) => root.querySelector(`.${name}`);
    Object.assign(this, { root, backend, model: part("model"), mode: part("mode"), budget: part("budget") });
    Object.assign(this, { verdict: part("verdict"), line: part("line"), message: part("message") });
    this.figure = chart;
    this.asking = part("asked");
    this.board = new Board(part("board"), hears);
    this.chart = new Chart(chart.querySelector("svg"), hears.seek);
    this.models = [];
    this.fault = null;
    this.clear();
    const changed = (from) => () => {
      this.#offerModes(from);
      hears.settings();
    };
    this.model.addEventListener("change", changed("model"));
    this.mode.addEventListener("change", changed("mode"));
    this.budget.addEventListener("input", hears.settings);
  }

  /** Offer these models of a task. */
  setModels(models) {
    const before = this.model.value;
    this.models = models;
    offer(this.model, models.map((model) => [model.name, model.name]));
    if (before !== this.model.value || !this.mode.value) this.#offerModes("model");
  }

  get chosen() {
    return this.models.find((model) => model.name === this.model.value);
  }

  /** {model, mode, segments} as they are set. */
  get settings() {
    return { model: this.model.value, mode: this.mode.value, segments: Number(this.budget.value) || 1 };
  }

  set settings({ model, mode, segments }) {
    if (this.models.some((one) => one.name === model)) this.model.value = model;
    this.#offerModes("model");
    if (mode in MODES && this.chosen?.modes.includes(mode)) this.mode.value = mode;
    this.#offerModes("mode");
    if (segments > 0) this.budget.value = segments;
  }

  #offerModes(from) {
    const { chosen } = this;
    if (!chosen) return;
    if (from === "model") {
      offer(this.mode, chosen.modes.map((mode) => [mode, MODES[mode]]));
      this.mode.value = chosen.default_mode;
    }
    this.budget.value = this.mode.value === "search" ? chosen.search_segments : chosen.segments;
  }

  /** Forget what was thought. */
  clear() {
    this.stop();
    Object.assign(this, { begun: null, segments: [], result: null, asked: null });
    this.say("");
  }

  /** Think about a puzzle {board, identifier, label}. arrived(): a segment came. Resolves when it has ended,
   * however it did. */
  async think({ board: puzzle, identifier, label }, extra, arrived) {
    this.clear();
    const control = new AbortController();
    this.control = control;
    this.asked = { ...this.settings, ...(identifier ? { identifier } : {}), ...extra };
    const waiting = setTimeout(() => this.say("Waiting for the model …"), PATIENCE);
    try {
      for await (const { event, data } of this.backend.think({ puzzle, ...this.asked }, control.signal)) {
        if (control.signal.aborted) break;
        if (event !== "begin") {
          clearTimeout(waiting);
          if (this.message.textContent) this.say("");
        }
        if (event === "begin") this.begun = data;
        const before = this.segments.at(-1);
        if (event === "segment") this.segments.push({ ...data, ...judged(data, label), fresh: data.start !== before?.start });
        if (event === "result") this.result = { ...data, solved: data.solved ?? before?.solved ?? null };
        arrived();
      }
    } catch (error) {
      if (error.name === "AbortError" || control.signal.aborted) return null;
      this.say(errorSentence(error), "bad");
      return error;
    } finally {
      clearTimeout(waiting);
      if (this.control === control) this.control = null;
    }
    return null;
  }

  /** Let go of the model, and keep what it has thought. */
  stop() {
    this.control?.abort();
    this.control = null;
  }

  /** The cells that an answer has to find, as far as that was told. */
  get unknown() {
    return this.begun?.unknown ?? null;
  }

  get thinking() {
    return Boolean(this.control);
  }

  /** The segment to see at a position, or null for the puzzle. */
  at(position) {
    return position > 0 && this.segments.length ? this.segments[Math.min(position, this.segments.length) - 1] : null;
  }

  /** Show the puzzle or a segment. */
  show(task, puzzle, position, every) {
    const segment = this.at(position);
    const cells = cellsOf(task, puzzle, segment, this.fault, this.unknown);
    showAsked(this.asking, task, puzzle, Boolean(segment));
    this.board.show(task, puzzle, cells, {
      answer: segment?.answer ?? null,
      thought: Boolean(segment),
      gone: Boolean(segment) && abandoned(segment),
      marks: every && segment ? (cell) => candidates(task, segment, cell) : null,
      label: `${taskName(task)}, ${segment ? `${this.asked.model}, segment ${segment.segment}` : "the puzzle"}`,
    });
    const { text, kind } = verdict(segment, this.result);
    this.verdict.textContent = text;
    this.verdict.className = `verdict ${kind}`;
    const { mode, segments } = this.settings;
    const size = this.chosen?.parameters.toLocaleString("en") ?? "";
    this.sentence = segment ? segmentSentence(segment, cells)
      : `${modeSentence(mode, segments)} ${size} parameters.`;
    this.line.textContent = this.sentence;
    if (text) this.sentence = `${text}. ${this.sentence}`;
    const name = this.asked ? `${this.asked.model}, ${MODES[this.asked.mode].toLowerCase()}` : this.model.value;
    this.figure.querySelector("figcaption").textContent = name;
    this.chart.show(this.segments, position, `Q-values of ${name}`);
    return cells;
  }

  /** A line beside the board: kind "bad" for what went wrong. */
  say(text, kind = "") {
    this.message.textContent = text;
    this.message.className = `message ${kind}`;
  }
}
