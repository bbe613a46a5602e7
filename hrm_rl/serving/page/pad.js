// Buttons that write into the board, for those without a keyboard: digits, or the tools of a maze.

import { $, make } from "./dom.js";
import { BLANK, FREE, GOAL, START, WALL, isMaze } from "./rules.js";

const TOOLS = [[WALL, "Wall"], [FREE, "Free"], [START, "Start"], [GOAL, "Goal"]];

/** Fill the pad for a task. write(token): into the cell that was last in focus; brush(token): what a pointer
 * draws from now on. */
export function showPad(task, { write, brush }) {
  const pad = $("pad");
  if (isMaze(task)) {
    const buttons = TOOLS.map(([token, name]) => {
      const choose = () => {
        buttons.forEach((button) => button.setAttribute("aria-pressed", button === chosen));
        brush(token);
      };
      const chosen = make("button", { type: "button", "aria-pressed": "false", on: { click: choose } }, name);
      return chosen;
    });
    pad.replaceChildren(...buttons);
    return buttons[0].click();
  }
  brush(null);
  const digits = Array.from({ length: task.rows }, (_, i) =>
    make("button", { type: "button", "aria-label": `Write ${i + 1}`, on: { click: () => write(i + 2) } }, i + 1));
  const erase = make("button", { type: "button", "aria-label": "Empty the cell", on: { click: () => write(BLANK) } }, "⌫");
  pad.replaceChildren(...digits, erase);
}
