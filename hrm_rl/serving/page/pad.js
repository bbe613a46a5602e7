// Buttons that write into the board, for those without a keyboard: digits, or the tools of a maze.

import { $, make } from "./dom.js";
import { colourOf, isRuled, kindOf } from "./kinds.js";
import { writable } from "./plain.js";
import { tokenName } from "./words.js";
import { BLANK, FREE, GOAL, START, WALL, isMaze } from "./rules.js";

const MOST_BUTTONS = 16;
const TOOLS = [[WALL, "Wall"], [FREE, "Free"], [START, "Start"], [GOAL, "Goal"]];

/** Fill the pad for a task. write(token): into the cell that was last in focus; brush(token): what a pointer
 * draws from now on. */
export function showPad(task, { write, brush }) {
  const pad = $("pad");
  pad.classList.toggle("palette", kindOf(task) === "colours");
  const tools = isMaze(task) ? TOOLS : kindOf(task) === "colours" ? writable(task) : [];
  if (tools.length) {
    const buttons = tools.map(([token, name]) => {
      const choose = () => {
        buttons.forEach((button) => button.setAttribute("aria-pressed", button === chosen));
        brush(token);
      };
      const look = isMaze(task) ? {} : { class: `c${colourOf(task, token)}`, "aria-label": `Paint ${tokenName(task, token)}` };
      const chosen = make("button", { type: "button", "aria-pressed": "false", ...look, on: { click: choose } }, name);
      return chosen;
    });
    pad.replaceChildren(...buttons);
    return buttons[isMaze(task) ? 0 : 1].click();
  }
  brush(null);
  if (!isRuled(task)) {
    const found = kindOf(task) === "board" ? writable(task).slice(0, MOST_BUTTONS) : [];
    return pad.replaceChildren(...found.map(([token, name]) =>
      make("button", { type: "button", "aria-label": `Write ${tokenName(task, token)}`, on: { click: () => write(token) } }, name)));
  }
  const digits = Array.from({ length: task.rows }, (_, i) =>
    make("button", { type: "button", "aria-label": `Write ${i + 1}`, on: { click: () => write(i + 2) } }, i + 1));
  const erase = make("button", { type: "button", "aria-label": "Empty the cell", on: { click: () => write(BLANK) } }, "⌫");
  pad.replaceChildren(...digits, erase);
}
