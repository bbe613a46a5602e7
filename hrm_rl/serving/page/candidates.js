// What a model considers for one cell: its candidates as a row of tiles, the likelier the darker.

import { make } from "./dom.js";
import { isMaze, openToken } from "./rules.js";
import { candidates } from "./view.js";
import { glyph, place } from "./text.js";
import { percent, tokenName } from "./words.js";

/** Fill `host`. runs: [[name, segment or null], ...], one for each model. */
export function showCandidates(host, task, puzzle, cell, runs) {
  const thought = runs.filter(([, segment]) => segment?.probabilities);
  if (cell === null || !thought.length) {
    const hint = thought.length
      ? "Point at a cell, or walk to it with the arrow keys."
      : "Once it thinks, each cell shows what the model considers.";
    return host.replaceChildren(make("p", { class: "hint" }, hint));
  }
  if (puzzle[cell] !== openToken(task))
    return host.replaceChildren(make("p", { class: "hint" }, `${place(task, cell)} is given: ${tokenName(task, puzzle[cell])}.`));
  const parts = [make("p", { class: "where" }, place(task, cell))];
  for (const [name, segment] of thought) {
    if (thought.length > 1) parts.push(make("p", { class: "who" }, name));
    const found = candidates(task, segment, cell);
    parts.push(make("ul", { class: "tiles" }, ...found.map(([token, share]) => tile(task, token, share, segment.answer[cell]))));
  }
  host.replaceChildren(...parts);
}

function tile(task, token, share, answer) {
  const name = isMaze(task) ? tokenName(task, token) : glyph(task, token);
  const element = make("li", { class: token === answer ? "tile chosen" : "tile" },
    make("b", {}, name), make("span", {}, percent(share)));
  element.style.setProperty("--share", share.toFixed(3));
  return element;
}
