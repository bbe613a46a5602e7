// The page's state in the address: puzzle, models, modes, budgets. Nothing in it is sent to a server.

import { isMaze } from "./rules.js";
import { compact, expand } from "./text.js";

/** The fragment of a state {task, puzzle, identifier, lanes: [{model, mode, segments}], run}. */
export function write({ task, puzzle, identifier = 0, lanes, run }) {
  const fields = new URLSearchParams({ task: task.task, puzzle: compact(task, puzzle) });
  if (identifier) fields.set("identity", identifier);
  lanes.forEach(({ model, mode, segments }) => fields.append("lane", `${model},${mode},${segments}`));
  if (run) fields.set("think", "1");
  const text = `#${fields}`.replaceAll("%2C", ",").replaceAll("%2F", "/");
  return isMaze(task) ? text.replaceAll("%23", "█") : text;
}

/** The state of a fragment, or null where it has none. Throws TextError for a puzzle that is none. */
export function read(hash, tasks) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const task = tasks.find((one) => one.task === fields.get("task"));
  if (!task || !fields.get("puzzle")) return null;
  const lanes = fields.getAll("lane").slice(0, 2).map((text) => {
    const parts = text.split(",");
    const [mode, segments] = parts.slice(-2);
    return { model: parts.slice(0, -2).join(","), mode, segments: Number(segments) };
  });
  const identifier = Math.max(0, Math.floor(Number(fields.get("identity")) || 0));
  return { task, puzzle: expand(task, fields.get("puzzle")), identifier, lanes, run: fields.get("think") === "1" };
}
