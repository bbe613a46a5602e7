// A board on the page: a grid of cells that shows a view (view.js), is walked with the keyboard, and tells
// what the reader does with it.

import { make } from "./dom.js";
import { colourOf, isRuled, kindOf, linesOf } from "./kinds.js";
import { BLANK, FREE, GOAL, PAD, PATH, START, WALL, isMaze } from "./rules.js";
import { glyph } from "./text.js";
import { cellName } from "./words.js";

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const MAZE_KEYS = { "#": WALL, w: WALL, f: FREE, ".": FREE, s: START, g: GOAL, Backspace: FREE, Delete: FREE };

/** hears: {edit(cell, token), look(cell or null), key(event) -> true if it was one of the page's} */
export class Board {
  constructor(host, hears) {
    this.host = host;
    this.hears = hears;
    this.focused = 0;
    this.brush = null; // the token that a pointer draws; null where it draws nothing
    this.cells = [];
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("focusin", (event) => this.#focus(event));
    host.addEventListener("focusout", () => hears.look(null));
    host.addEventListener("pointerover", (event) => this.#over(event));
    host.addEventListener("pointerleave", () => hears.look(this.#hasFocus() ? this.focused : null));
    host.addEventListener("pointerdown", (event) => this.#down(event));
  }

  /** Show a puzzle or a thought. cells: of view.js; thought: whether they are a model's, whose answer is given. */
  show(task, board, cells, { answer = null, thought = false, gone = false, marks = null, label }) {
    const lines = linesOf(task, answer ?? board, board);
    const form = `${task.task} ${lines.map((line) => `${line[0]}+${line.length}`)}`;
    if (form !== this.form) this.#build(task, lines, form);
    this.host.setAttribute("aria-label", label);
    this.host.classList.toggle("gone", gone);
    this.host.classList.toggle("thought", thought);
    for (const [cell, element] of this.cells) this.#paint(task, cell, element, cells[cell], thought, marks);
  }

  /** Move the focus to a cell. */
  focus(cell = this.focused) {
    const element = this.elements.get(cell) ?? this.cells[0][1];
    element.focus();
  }

  #build(task, places, form) {
    const [rows, columns, focused] = [places.length, Math.max(...places.map((line) => line.length)), this.#hasFocus()];
    Object.assign(this, { form, task, rows, columns, places });
    this.cells = [];
    const [boxRows, boxColumns] = task.box ?? [rows, columns];
    const lines = [];
    for (let row = 0; row < rows; row++) {
      const line = make("div", { role: "row" });
      for (let column = 0; column < places[row].length; column++) {
        const element = make("div", { role: "gridcell", tabindex: -1, class: "cell" },
          make("span", { class: "ink", "aria-hidden": "true" }),
          make("span", { class: "trust", "aria-hidden": "true" }));
        if ((column + 1) % boxColumns === 0 && column + 1 < columns) element.classList.add("right");
        if ((row + 1) % boxRows === 0 && row + 1 < rows) element.classList.add("below");
        const cell = places[row][column];
        element.dataset.cell = cell;
        if (column === 0) element.classList.add("first");
        this.cells.push([cell, element]);
        line.append(element);
      }
      lines.push(line);
    }
    this.elements = new Map(this.cells);
    this.host.replaceChildren(...lines);
    this.host.classList.toggle("maze", isMaze(task));
    this.host.classList.toggle("string", kindOf(task) === "string");
    this.host.classList.toggle("colours", kindOf(task) === "colours");
    this.host.classList.toggle("many-cells", columns > 12);
    this.host.style.setProperty("--columns", columns);
    this.host.style.setProperty("--rows", rows);
    if (!this.elements.has(this.focused)) this.focused = this.cells[0][0];
    this.elements.get(this.focused).tabIndex = 0;
    if (focused) this.elements.get(this.focused).focus();
  }

  #paint(task, cell, element, seen, thought, marks) {
    const kinds = ["given", "changed", "broken", "wrong", "assumed"].filter((kind) => seen[kind]);
    const what = isMaze(task) ? ["pad", "wall", "free", "start", "goal", "path"][seen.token] : look(task, seen.token);
    element.className = ["cell", ...kinds, what, ...["right", "below", "first"].filter((c) => element.classList.contains(c))]
      .filter(Boolean).join(" ");
    const empty = isMaze(task) ? [FREE, WALL, PATH, PAD].includes(seen.token)
      : kindOf(task) === "colours" ? true : isRuled(task) && seen.token === BLANK;
    const [ink] = element.children;
    const many = marks && thought && seen.doubtful && isRuled(task) && !isMaze(task);
    element.classList.toggle("many", Boolean(many));
    if (many) this.#marks(ink, marks(cell));
    else ink.textContent = empty ? "" : glyph(task, seen.token);
    element.style.setProperty("--trust", seen.trust.toFixed(3));
    element.style.setProperty("--path", seen.path.toFixed(3));
    element.classList.toggle("doubtful", seen.doubtful);
    element.setAttribute("aria-label", cellName(task, cell, seen, thought));
  }

  #marks(ink, candidates) {
    if (ink.childElementCount !== candidates.length)
      ink.replaceChildren(...candidates.map(([token]) => make("i", {}, glyph(this.task, token))));
    candidates.forEach(([, share], i) => ink.children[i].style.setProperty("--share", share.toFixed(3)));
  }

  #hasFocus() {
    return this.host.contains(document.activeElement);
  }

  #cellAt(target) {
    const element = target?.closest?.(".cell");
    return element && this.host.contains(element) ? Number(element.dataset.cell) : null;
  }

  #focus(event) {
    const cell = this.#cellAt(event.target);
    if (cell === null) return;
    this.elements.get(this.focused).tabIndex = -1;
    this.elements.get(cell).tabIndex = 0;
    this.focused = cell;
    this.hears.look(cell);
  }

  #over(event) {
    const cell = this.#cellAt(event.target);
    if (cell !== null) this.hears.look(cell);
  }

  #down(event) {
    const cell = this.#cellAt(event.target);
    if (cell === null || event.button !== 0) return;
    if (this.brush === null) return; // the browser gives it the focus
    event.preventDefault();
    this.focus(cell);
    const brush = isMaze(this.task) && this.brush === WALL && event.target.closest(".wall") ? FREE : this.brush;
    let last = null;
    const paint = ({ clientX, clientY }) => {
      const found = this.#cellAt(document.elementFromPoint(clientX, clientY));
      if (found !== null && found !== last) this.hears.edit((last = found), brush);
    };
    const stop = () => {
      document.removeEventListener("pointermove", paint);
      document.removeEventListener("pointerup", stop);
      document.removeEventListener("pointercancel", stop);
    };
    document.addEventListener("pointermove", paint);
    document.addEventListener("pointerup", stop);
    document.addEventListener("pointercancel", stop);
    paint(event);
  }

  #key(event) {
    const cell = this.#cellAt(event.target);
    if (cell === null || event.altKey) return;
    if (this.hears.key(event)) return event.preventDefault();
    const row = this.places.findIndex((line) => line.includes(cell));
    const to = this.#target(event, row, this.places[row].indexOf(cell));
    if (to !== null) {
      event.preventDefault();
      return this.elements.get(to)?.focus();
    }
    if (event.ctrlKey || event.metaKey) return;
    const token = isMaze(this.task) ? this.#mazeToken(event, cell)
      : isRuled(this.task) ? this.#digitToken(event) : this.#plainToken(event);
    if (token === null) return;
    event.preventDefault();
    this.hears.edit(cell, token);
    if (kindOf(this.task) === "string") this.elements.get(cell + 1)?.focus();
  }

  #target(event, row, column) {
    const at = (r, c) => this.places[r][Math.min(this.places[r].length - 1, Math.max(0, c))];
    if (event.key in MOVES) {
      const [down, across] = MOVES[event.key];
      const wrap = kindOf(this.task) === "string" ? getComputedStyle(this.host).gridTemplateColumns.split(" ").length : 0;
      const within = column + down * wrap; // a string wraps: up and down stay in it where they can
      if (down && wrap && within >= 0 && within < this.places[row].length) return at(row, within);
      return at(Math.min(this.rows - 1, Math.max(0, row + down)), column + across);
    }
    const whole = event.ctrlKey;
    if (event.key === "Home") return at(whole ? 0 : row, 0);
    if (event.key === "End") return at(whole ? this.rows - 1 : row, Infinity);
    return null;
  }

  /** The token of a key where tokens are characters; a colour may be painted with the brush, too. */
  #plainToken(event) {
    if (kindOf(this.task) === "colours") {
      if (event.key === " ") return this.brush;
      const token = /^[0-9]$/.test(event.key) ? this.task.characters.indexOf(event.key) : -1;
      return token > 0 ? token : null;
    }
    const token = event.key.length === 1 ? this.task.characters.indexOf(event.key) : -1;
    if (token > 0) return token;
    return kindOf(this.task) === "board" && ["Backspace", "Delete"].includes(event.key) ? 1 : null;
  }

  #digitToken(event) {
    if (["Backspace", "Delete", "0", ".", " "].includes(event.key)) return BLANK;
    const digit = /^[1-9]$/.test(event.key) ? Number(event.key) : 0;
    return digit && digit <= this.task.rows ? digit + 1 : null;
  }

  #mazeToken(event, cell) {
    if (event.key === " ") return this.elements.get(cell).classList.contains("wall") ? FREE : WALL;
    return MAZE_KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key] ?? null;
  }
}

/** The class of a cell of a grid of colours. */
function look(task, token) {
  if (kindOf(task) !== "colours") return "";
  const colour = colourOf(task, token);
  return colour === null ? (token ? "mark" : "pad") : `c${colour}`;
}
