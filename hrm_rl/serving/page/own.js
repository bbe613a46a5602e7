// What a reader says of a puzzle of their own apart from its cells: its identity, the size of a grid, a string.

import { $, offer } from "./dom.js";
import { kindOf, linesOf } from "./kinds.js";
import { resized } from "./plain.js";

const REST = 250; // milliseconds without a key after which a string is read

/** Wire the fields of a puzzle. read(text): take it as the puzzle. */
export function listenToOwn(puzzle, read) {
  let timer = null;
  $("identity").addEventListener("change", () => puzzle.identify(Number($("identity").value)));
  for (const id of ["grid-rows", "grid-columns"])
    $(id).addEventListener("change", () => {
      const [rows, columns] = ["grid-rows", "grid-columns"].map((name) => Number($(name).value));
      puzzle.set(puzzle.task, resized(puzzle.task, puzzle.board, rows, columns));
    });
  $("string").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => read($("string").value), REST);
  });
}

/** Show the fields that a puzzle has. models: those of its task. */
export function showOwn(puzzle, models) {
  const { task, board, identifier } = puzzle;
  const kind = kindOf(task);
  const most = Math.max(1, ...models.map((model) => model.identifiers));
  $("identity-field").hidden = !task.identities.length;
  if (task.identities.length) {
    const known = task.identities.filter((one) => one.identifier < most);
    const others = known.some((one) => one.identifier === identifier) || !identifier ? [] : [[identifier, `number ${identifier}`]];
    const options = [[0, "none"], ...known.map((one) => [one.identifier, one.name]), ...others];
    if ($("identity").options.length !== options.length || showOwn.shown !== task.task) offer($("identity"), options);
    showOwn.shown = task.task;
    $("identity").value = String(identifier);
  }
  $("grid-field").hidden = kind !== "colours";
  if (kind === "colours") {
    const lines = linesOf(task, board);
    for (const [id, size, now] of [["grid-rows", task.rows, lines.length], ["grid-columns", task.columns, lines[0].length]])
      offer($(id), Array.from({ length: size }, (_, i) => [String(i + 1), i + 1]), String(now));
  }
  $("string-field").hidden = kind !== "string";
  if (showOwn.task !== task || document.activeElement !== $("string")) $("string").value = "";
  showOwn.task = task;
}
