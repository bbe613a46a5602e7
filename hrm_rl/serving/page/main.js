// The page: a puzzle, one or two models that think about it, and what there is to see of that.

import * as backend from "./backend.js";
import { showCandidates } from "./candidates.js";
import { $, download, offer } from "./dom.js";
import { asGif, asJson, asText, copy } from "./keep.js";
import { Lane } from "./lane.js";
import * as link from "./link.js";
import { isRuled } from "./kinds.js";
import { listen } from "./open.js";
import { listenToOwn, showOwn } from "./own.js";
import { showPad } from "./pad.js";
import { asRows, mayBe } from "./plain.js";
import { Player } from "./player.js";
import { Puzzle } from "./puzzle.js";
import { emptyBoard, extent, isMaze, problem } from "./rules.js";
import { TextError, parse } from "./text.js";
import { errorSentence, taskName } from "./words.js";

const SMALLEST_MAZE = 5;
const QUIET = 900; // milliseconds between two sentences for a screen reader

const known = { models: [], tasks: [] };
let looked = null; // the cell whose candidates are shown
let changes = 0; // of the puzzle; a random one that comes after a later change is too late
let again = null; // what to do once there is a token

const puzzle = new Puzzle(() => {
  changes++;
  lanes.forEach((lane) => Object.assign(lane, { fault: null }).clear());
  $("ask").hidden = true;
  showTask();
  player.clear();
});
const player = new Player(show, (position) => (position ? `Segment ${position}` : "The puzzle"));
const lanes = ["a", "b"].map((letter) =>
  new Lane($(`lane-${letter}`), $(`chart-${letter}`), backend, {
    edit: (cell, token) => puzzle.write(cell, token),
    look: (cell) => {
      looked = cell ?? looked;
      showCells();
    },
    key,
    seek: (segment) => player.go(segment),
    settings: () => show(player.position),
  }));
const [first, second] = lanes;
const shown = () => ($("compare").checked ? lanes : [first]);

/** Everything that depends on the position. */
function show(position) {
  if (!puzzle.task) return;
  const every = $("every").checked;
  for (const lane of lanes) lane.show(puzzle.task, puzzle.board, position, every);
  const thinking = lanes.some((lane) => lane.thinking);
  $("think").textContent = thinking ? "Stop" : "Think";
  $("think").classList.toggle("main", !thinking);
  $("pad").hidden = position > 0;
  document.body.classList.toggle("looking", position > 0);
  const some = lanes.some((lane) => lane.segments.length);
  for (const id of ["json", "gif"]) $(id).disabled = !some;
  $("undo").disabled = !puzzle.past.length;
  showCells();
  if (position > 0) tell(shown().map((lane) => lane.sentence).join(" "));
}

function showCells() {
  const runs = shown().map((lane) => [lane.asked?.model ?? "", lane.at(player.position)]);
  if (puzzle.task) showCandidates($("candidates"), puzzle.task, puzzle.board, looked, runs, first.unknown);
}

/** What depends on the kind of puzzle. */
function showTask() {
  const { task, board } = puzzle;
  $("note").textContent = puzzle.summary;
  const models = known.models.filter((model) => task.models.includes(model.name));
  showOwn(puzzle, models);
  const [size] = extent(task, board);
  if (task.task === showTask.shown && size === showTask.size) return;
  Object.assign(showTask, { shown: task.task, size });
  looked = null;
  $("task").value = task.task;
  const level = $("level").value;
  offer($("level"), task.levels.map((name) => [name, name.replace("-", " ")]));
  if (!task.levels.includes(level)) $("level").value = task.levels.at(-1) === "extreme" ? "hard" : task.levels.at(-1);
  $("size-field").hidden = !isMaze(task) || task.rows <= SMALLEST_MAZE;
  const sizes = Array.from({ length: Math.max(1, task.rows - SMALLEST_MAZE + 1) }, (_, i) => task.rows - i);
  offer($("size"), sizes.map((n) => [n, `${n}×${n}`]), String(size));
  lanes.forEach((lane) => lane.setModels(models));
  document.body.classList.toggle("maze-page", isMaze(task));
  document.body.classList.toggle("colours-page", task.drawn_as === "colours");
  $("every-field").hidden = isMaze(task) || !isRuled(task);
  showPad(task, {
    write: (token) => {
      const { focused } = first.board;
      puzzle.write(focused, token);
      first.board.focus(focused);
    },
    brush: (token) => lanes.forEach((lane) => (lane.board.brush = token)),
  });
}

/** Tell a screen reader, the last of many sentences only. */
function tell(text) {
  clearTimeout(tell.timer);
  const wait = Math.max(0, (tell.last ?? 0) + QUIET - Date.now());
  tell.timer = setTimeout(() => {
    tell.last = Date.now();
    $("live").textContent = text;
  }, wait);
}

function complain(error, retry = null) {
  first.say(error instanceof Error ? errorSentence(error) : error, "bad");
  if (error.code === "unauthorized") askForToken(retry);
  if (error.cell !== undefined && error.cell !== null) blame(first, error.cell);
}

/** Mark and focus the cell at fault: an index, or {row, column} from 1. */
function blame(lane, cell) {
  const index = typeof cell === "number" ? cell : (cell.row - 1) * puzzle.task.columns + cell.column - 1;
  lane.fault = index;
  show(player.position);
  lane.board.focus(index);
}

function askForToken(retry) {
  again = retry;
  if (backend.hasToken()) first.say("The server refuses this token.", "bad");
  $("token").hidden = false;
  $("token-text").focus();
}

async function think(extra = {}) {
  if (lanes.some((lane) => lane.thinking)) return stop();
  const why = problem(puzzle.task, puzzle.board);
  lanes.forEach((lane) => Object.assign(lane, { fault: null }).clear());
  if (why) return complain(why);
  $("ask").hidden = true;
  player.begin();
  history.replaceState(null, "", link.write(state()));
  const arrived = () => player.grow(Math.max(...shown().map((lane) => lane.segments.length)));
  const ended = shown().map((lane) => lane.think(puzzle, extra, arrived));
  show(0);
  const errors = await Promise.all(ended);
  player.end();
  show(player.position);
  errors.forEach((error, i) => error && failed(error, shown()[i], extra));
}

function failed(error, lane, extra) {
  if (error.code === "unauthorized") return askForToken(() => think(extra));
  if (error.code !== "invalid") return;
  if (error.cell) blame(lane, error.cell);
  else $("ask").hidden = !/solution/.test(error.message);
}

function stop() {
  lanes.forEach((lane) => lane.stop());
  player.end();
  show(player.position);
}

/** Keys of the page while a board has the focus. */
function key(event) {
  if (event.key === "Enter") think();
  else if (event.key === "Escape") stop();
  else if (event.key === "PageDown") player.go(player.position + 1);
  else if (event.key === "PageUp") player.go(player.position - 1);
  else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) puzzle.undo();
  else return false;
  return true;
}

async function random(task = puzzle.task) {
  try {
    const level = task === puzzle.task ? $("level").value : task.levels.at(-2) ?? task.levels[0];
    const mine = ++changes;
    const made = await backend.random(task.task, level);
    if (mine !== changes) return;
    const proof = isMaze(task) ? `Its shortest way has ${made.length} cells.`
      : made.solutions === 1 ? "It has exactly one solution." : task.label_decides ? "Its label is known." : "";
    const label = task.label_decides ? made.solution : null;
    puzzle.set(task, made.tokens, proof, { identifier: made.identifier, label });
    $("level").value = level;
  } catch (error) {
    complain(error, () => random(task));
  }
}

/** A text from outside: a puzzle, or a run that was saved here. Resolves to whether it was one. */
async function take(text, refuse = complain) {
  const mine = ++changes;
  try {
    if (/^\s*\{"task"/.test(text)) restore(JSON.parse(text));
    else {
      const { task, board, more, about } = await read(text);
      if (mine !== changes) return false;
      puzzle.set(task, board, more ? `The first of ${more + 1} in the text.` : "", about);
      tell(`A puzzle was read. ${puzzle.summary}`);
    }
    first.board.focus();
    return true;
  } catch (error) {
    const known = error instanceof TextError || error.code;
    refuse(known ? errorSentence(error) : "The text is no puzzle and no run that was saved here.");
    return false;
  }
}

/** The puzzle of a text: of this kind, else of another. Throws what the first that was asked has to say. */
async function read(text) {
  const ruled = () => ({ about: {}, ...parse(text, known.tasks, puzzle.task) });
  const asked = (task) => async () => {
    if (!text.trim()) throw new TextError("There is no text to read a puzzle from.");
    const { tokens, identifier } = await backend.read(task.task, asRows(task, text));
    return { task, board: tokens, more: 0, about: identifier ? { identifier } : {} };
  };
  const others = known.tasks.filter((task) => !isRuled(task) && task !== puzzle.task && mayBe(task, text)).map(asked);
  const ways = isRuled(puzzle.task) ? [ruled, ...others]
    : [asked(puzzle.task), ...(known.tasks.some(isRuled) ? [ruled] : []), ...others];
  let why = null;
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      if (!(error instanceof TextError) && error.code !== "invalid") throw error;
      why ??= error;
    }
  }
  throw why;
}

/** A string as it is typed. */
async function write(text) {
  const [{ task }, mine] = [puzzle, ++changes];
  try {
    const { tokens } = text ? await backend.read(task.task, text) : { tokens: emptyBoard(task) };
    if (mine === changes) puzzle.set(task, tokens);
  } catch (error) {
    complain(error);
  }
}

function restore({ task, tokens, identifier = 0, runs }) {
  const found = known.tasks.find((one) => one.task === task);
  if (!found || !Array.isArray(tokens) || !runs.length) throw new TextError("No model here knows puzzles of this kind.");
  puzzle.set(found, tokens, "", { identifier });
  $("compare").checked = runs.length > 1;
  compare();
  runs.slice(0, 2).forEach(({ asked, begin, segments, result }, i) =>
    Object.assign(lanes[i], { asked, begun: begin, segments, result }));
  player.begin();
  player.grow(Math.max(...lanes.map((lane) => lane.segments.length)));
  player.end();
  player.go(player.length);
}

const state = () => ({
  task: puzzle.task, puzzle: puzzle.board, identifier: puzzle.identifier, lanes: shown().map((lane) => lane.settings),
  run: lanes.some((lane) => lane.segments.length || lane.thinking),
});

/** Take the state of the address. Returns whether it has one. */
function follow() {
  try {
    const found = link.read(location.hash, known.tasks);
    if (!found) return false;
    puzzle.set(found.task, found.puzzle, "", { identifier: found.identifier });
    $("compare").checked = found.lanes.length > 1;
    compare();
    found.lanes.forEach((settings, i) => (lanes[i].settings = settings));
    show(0);
    if (found.run) think();
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

function compare() {
  const on = $("compare").checked;
  second.root.hidden = $("chart-b").hidden = !on;
  document.body.classList.toggle("comparing", on);
  if (on && !second.segments.length) second.settings = other();
  if (!on) second.clear();
  show(player.position);
}

/** A second model, or the same with another mode, to compare with. */
function other() {
  const { model, mode, segments } = first.settings;
  const another = first.models.find((one) => one.name !== model);
  if (another) return { model: another.name };
  const modes = first.chosen?.modes ?? [];
  if (mode !== "adaptive" && modes.includes("adaptive")) return { model, mode: "adaptive" };
  return { model, mode, segments: Math.max(1, Math.round(segments / 4)) };
}

async function keep(button) {
  const running = shown().filter((lane) => lane.segments.length);
  const { task, board } = puzzle;
  const name = `${task.task}${running.length ? `-${running.map((lane) => lane.asked.model).join("-")}` : ""}`;
  const say = (text) => ($("kept").textContent = text);
  if (button.id === "copy")
    say((await copy(asText(task, board, running))) ? "Copied as text." : "The browser does not allow copying.");
  if (button.id === "link") {
    history.replaceState(null, "", link.write(state()));
    say((await copy(location.href)) ? "Link copied." : "The link is in the address bar.");
  }
  if (button.id === "json") download(`${name}.json`, "application/json", asJson(task, board, running, puzzle.identifier));
  if (button.id === "gif") {
    say("Drawing …");
    const pause = () => new Promise((resolve) => setTimeout(resolve));
    const bytes = await asGif(task, board, running, Number($("speed").value), pause);
    download(`${name}.gif`, "image/gif", bytes);
    say(`Saved a GIF of ${Math.ceil(bytes.length / 1000)} kB.`);
  }
}

function scheme(dark) {
  document.documentElement.dataset.scheme = dark ? "dark" : "light";
  $("scheme").textContent = dark ? "Light" : "Dark";
  $("scheme").setAttribute("aria-label", `${dark ? "Light" : "Dark"} colours`);
}

function wire() {
  $("think").addEventListener("click", () => think());
  $("anyway").addEventListener("click", () => think({ allow_unproven: true }));
  $("random").addEventListener("click", () => random());
  $("undo").addEventListener("click", () => puzzle.undo());
  $("clear").addEventListener("click", () => puzzle.clear());
  $("size").addEventListener("change", () => puzzle.clear(Number($("size").value)));
  $("task").addEventListener("change", () => random(known.tasks.find((task) => task.task === $("task").value)));
  $("every").addEventListener("change", () => show(player.position));
  $("compare").addEventListener("change", compare);
  document.querySelectorAll(".keep button").forEach((button) => button.addEventListener("click", () => keep(button)));
  $("scheme").addEventListener("click", () => scheme(document.documentElement.dataset.scheme !== "dark"));
  $("token").addEventListener("submit", (event) => {
    event.preventDefault();
    backend.useToken($("token-text").value);
    $("token-text").value = "";
    $("token").hidden = true;
    first.say("");
    again?.();
  });
  window.addEventListener("hashchange", follow);
  listen(take, complain);
  listenToOwn(puzzle, write);
}

async function begin() {
  try {
    [known.models, known.tasks] = await Promise.all([backend.models(), backend.tasks()]);
  } catch (error) {
    return complain(error, begin);
  }
  offer($("task"), known.tasks.map((task) => [task.task, taskName(task)]));
  const { name } = known.models[0];
  const task = known.tasks.find((one) => one.models.includes(name)) ?? known.tasks[0];
  puzzle.set(task, emptyBoard(task));
  puzzle.past = [];
  $("think").disabled = false;
  if (!follow()) await random();
  document.body.dataset.ready = "yes";
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => scheme(dark.matches));
scheme(dark.matches);
wire();
begin();
