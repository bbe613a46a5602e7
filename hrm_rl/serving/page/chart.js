// The Q-values by segment as a small chart: what the model believes halting and continuing are worth.

import { draw } from "./dom.js";
import { abandoned, chance } from "./view.js";
import { qSentence } from "./words.js";

const [WIDTH, HEIGHT] = [320, 132];
const [LEFT, RIGHT, TOP, BOTTOM] = [34, 62, 10, 22];
const APART = 13; // of two names

export class Chart {
  /** host: an <svg>; seek: told the segment that was clicked. */
  constructor(host, seek) {
    this.host = host;
    host.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    host.setAttribute("role", "img");
    host.addEventListener("click", (event) => {
      if (!this.most) return;
      const box = host.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * WIDTH;
      seek(Math.min(this.shown, Math.max(1, Math.round(this.#segmentAt(x)))));
    });
  }

  /** segments: events of backend.js; position: the segment that is looked at, 0 for none. */
  show(segments, position, title) {
    this.shown = segments.length;
    this.most = Math.max(4, segments.length);
    const parts = [...this.#axes()];
    segments.filter(abandoned).forEach((segment) => parts.push(this.#over(segment)));
    if (segments.length) {
      parts.push(...this.#line(segments, "q_continue", "continue"), ...this.#line(segments, "q_halt", "halt"));
      parts.push(...this.#names(segments.at(-1)));
      if (position > 0) parts.push(...this.#cursor(segments[Math.min(position, segments.length) - 1]));
    }
    this.host.replaceChildren(...parts);
    this.host.setAttribute("aria-label", summary(segments, position, title));
  }

  #x(segment) {
    return LEFT + ((segment - 1) / (this.most - 1)) * (WIDTH - LEFT - RIGHT);
  }

  #segmentAt(x) {
    return 1 + ((x - LEFT) / (WIDTH - LEFT - RIGHT)) * (this.most - 1);
  }

  #y(logit) {
    return TOP + (1 - chance(logit)) * (HEIGHT - TOP - BOTTOM);
  }

  *#axes() {
    for (const [share, text] of [[1, "100 %"], [0.5, "50 %"], [0, "0 %"]]) {
      const y = TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
      yield draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y });
      yield draw("text", { class: "tick", x: LEFT - 5, y: y + 3.5, "text-anchor": "end" }, text);
    }
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((size) => this.most / size <= 8);
    for (let segment = step === 1 ? 1 : step; segment <= this.most; segment += step)
      yield draw("text", { class: "tick", x: this.#x(segment), y: HEIGHT - 7, "text-anchor": "middle" }, segment);
    yield draw("text", { class: "tick", x: WIDTH - RIGHT + 13, y: HEIGHT - 7 }, "segment");
  }

  #over(segment) {
    const x = this.#x(segment.segment + (segment.segment < this.most ? 0.5 : 0));
    return draw("line", { class: "over", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM });
  }

  *#line(segments, key, name) {
    const known = segments.filter((segment) => segment[key] !== null);
    if (!known.length) return;
    const points = known.map((s) => `${this.#x(s.segment).toFixed(1)},${this.#y(s[key]).toFixed(1)}`);
    yield draw("polyline", { class: `line ${name}`, points: points.join(" ") });
    if (known.length <= 40)
      for (const s of known)
        yield draw("circle", { class: `dot ${name}`, cx: this.#x(s.segment), cy: this.#y(s[key]), r: 2.2 });
  }

  /** The names of the lines at their ends, one above the other. */
  *#names(last) {
    const ends = [["halt", last.q_halt], ["continue", last.q_continue]].filter(([, q]) => q !== null);
    const places = ends.map(([name, q]) => ({ name, y: this.#y(q) })).sort((a, b) => a.y - b.y);
    const [upper, lower] = places;
    if (lower) {
      const lack = Math.max(0, APART - (lower.y - upper.y));
      upper.y = Math.min(Math.max(TOP, upper.y - lack / 2), HEIGHT - BOTTOM - APART);
      lower.y = Math.max(lower.y, upper.y + APART);
    }
    for (const { name, y } of places)
      yield draw("text", { class: `name ${name}`, x: this.#x(last.segment) + 8, y: y + 4 }, name);
  }

  *#cursor(segment) {
    const x = this.#x(segment.segment);
    yield draw("line", { class: "cursor", x1: x, x2: x, y1: TOP - 4, y2: HEIGHT - BOTTOM + 4 });
    if (segment.q_halt !== null) yield draw("circle", { class: "now", cx: x, cy: this.#y(segment.q_halt), r: 4 });
  }
}

function summary(segments, position, title) {
  if (!segments.length) return `${title}: no segment yet.`;
  const shown = segments[Math.min(Math.max(position, 1), segments.length) - 1];
  const overs = segments.filter(abandoned).length;
  return `${title}, ${segments.length} segments, ${overs} times started over. ` +
    `Segment ${shown.segment}: ${qSentence(shown)}.`;
}
