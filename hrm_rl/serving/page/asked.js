// The question beside an answer that covers it, where the page does not know the task: a small picture of it.

import { make } from "./dom.js";
import { colourOf, isRuled, kindOf, linesOf } from "./kinds.js";
import { glyph, write } from "./text.js";

/** Fill `host` with the question, or hide it. */
export function showAsked(host, task, puzzle, shown) {
  host.hidden = isRuled(task) || !shown;
  if (host.hidden || (host.puzzle === puzzle && host.task === task)) return;
  Object.assign(host, { puzzle, task });
  const lines = linesOf(task, puzzle);
  const text = write(task, puzzle).replaceAll("\n", ", ");
  const picture = make("div", { class: `question of-${kindOf(task)}`, role: "img", "aria-label": `The question: ${text}` });
  picture.style.setProperty("--columns", Math.max(...lines.map((line) => line.length)));
  for (const line of lines)
    line.forEach((cell, i) => {
      const colour = kindOf(task) === "colours" ? colourOf(task, puzzle[cell]) : null;
      const kind = `${i ? "" : "first "}${colour === null ? "" : `c${colour}`}`.trim();
      picture.append(make("i", { class: kind || null }, kindOf(task) === "colours" ? "" : glyph(task, puzzle[cell])));
    });
  host.replaceChildren(make("span", { class: "hint", "aria-hidden": "true" }, "Question"), picture);
}
