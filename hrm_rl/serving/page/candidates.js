// What a model considers for one cell: its candidates as a row of tiles, the likelier the darker.

import { make } from "./dom.js";
import { colourOf, kindOf } from "./kinds.js";
import { isMaze } from "./rules.js";
import { candidates, isGiven } from "./view.js";
import { glyph, place } from "./text.js";
import { percent, tokenName } from "./words.js";

/** Fill `host`. runs: [[name, segment or null], ...], one for each model. unknown: as in isGiven of view.js. */
export function showCandidates(host, task, puzzle, cell, runs, unknown) {
  const thought = runs.filter(([, segment]) => segment?.probabilities);
  if (cell === null || !thought.length) {
    const hint = thought.length
      ? "Point at a cell, or walk to it with the arrow keys."
      : "Once it thinks, each cell shows what the model considers.";
    return host.replaceChildren(make("p", { class: "hint" }, hint));
  }
  if (isGiven(task, puzzle, cell, unknown))
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
  const colour = kindOf(task) === "colours" ? colourOf(task, token) : null;
  const name = isMaze(task) || token === 0 ? tokenName(task, token) : glyph(task, token);
  const element = make("li", { class: `${token === answer ? "tile chosen" : "tile"}${name.length > 2 && !isMaze(task) ? " small" : ""}` },
    colour === null ? make("b", {}, name) : make("b", { class: `swatch c${colour}`, role: "img", "aria-label": tokenName(task, token) }),
    make("span", {}, percent(share)));
  element.style.setProperty("--share", share.toFixed(3));
  return element;
}
