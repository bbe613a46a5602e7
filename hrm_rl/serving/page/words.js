// What the page says, in sentences: for the line under a board, for screen readers and for copied text.

import { kindOf, isRuled, meaning } from "./kinds.js";
import { abandoned, chance } from "./view.js";
import { BLANK, FREE, GOAL, PATH, START, WALL, isMaze } from "./rules.js";
import { place } from "./text.js";

const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
export const percent = (share) =>
  share > 0.995 && share < 1 ? ">99 %" : share < 0.005 && share > 0 ? "<1 %" : `${Math.round(100 * share)} %`;

/** "sudoku 9x9" as a reader knows it. */
export function taskName(task) {
  const size = kindOf(task) === "string" && task.rows === 1 ? `to ${task.columns}` : `${task.rows}×${task.columns}`;
  return `${task.name[0].toUpperCase()}${task.name.slice(1)} ${size}`;
}

/** What a token means. */
export function tokenName(task, token) {
  if (!isRuled(task)) return meaning(task, token);
  if (!isMaze(task)) return token > BLANK ? String(token - 1) : "empty";
  const names = { [WALL]: "wall", [FREE]: "free", [START]: "start", [GOAL]: "goal", [PATH]: "path" };
  return names[token] ?? "outside";
}

/** A cell for a screen reader. */
export function cellName(task, cell, seen, thought) {
  const parts = [tokenName(task, seen.token)];
  if (seen.given && !isMaze(task) && (thought || isRuled(task))) parts.push("given");
  if (thought && !seen.given) parts.push(`${percent(seen.trust)} sure`);
  if (seen.changed) parts.push("changed");
  if (seen.assumed) parts.push("assumed");
  if (seen.wrong) parts.push("wrong");
  if (seen.broken) parts.push("breaks the rule");
  return `${place(task, cell)}: ${parts.join(", ")}`;
}

function ending(segment) {
  switch (segment.decision) {
    case "halt":
      return segment.solved === false ? "It halts, on a wrong answer." : "It halts.";
    case "spent":
      return "Its segments are spent.";
    case "hand in":
      return "The rule accepts it.";
    case "give up":
      return "Its segments are spent: it gives up.";
    case "start over":
      return `${segment.contradicted ? "The board contradicts itself" : "It doubts this board"}: it starts over.`;
    default:
      return "It thinks on.";
  }
}

/** What a segment brought, in a sentence or two. */
export function segmentSentence(segment, cells) {
  const number = (key) => cells.filter((cell) => cell[key]).length;
  const found = [segment.fresh ? "filled afresh" : `${count(number("changed"), "cell")} changed`];
  if (number("broken")) found.push(`${number("broken")} break the rule`);
  if (number("wrong")) found.push(`${number("wrong")} wrong`);
  if (number("assumed")) found.push(`${number("assumed")} assumed`);
  const start = segment.start ? ` (start ${segment.start + 1})` : "";
  return `Segment ${segment.segment}${start}: ${found.join(", ")}. ${ending(segment)}`;
}

/** How a run ended, in few words: {text, kind}, kind one of "good", "bad", "gone", "". */
export function verdict(segment, result) {
  if (!segment) return { text: "", kind: "" };
  if (abandoned(segment)) return { text: "Abandoned", kind: "gone" };
  const last = result && segment.segment === result.segments;
  if (segment.solved) {
    const after = count(segment.segment, "segment");
    return { text: last ? `Solved in ${after}` : "Right", kind: "good" };
  }
  if (segment.solved === null)
    return { text: last ? `Answered after ${count(segment.segment, "segment")}` : "", kind: "" };
  return last ? { text: `Not solved in ${count(segment.segment, "segment")}`, kind: "bad" } : { text: "", kind: "" };
}

/** What a mode will do, before it has. */
export function modeSentence(mode, segments) {
  const most = count(segments, "segment");
  if (mode === "fixed") return `Will think for ${most}, sure or not.`;
  if (mode === "search")
    return `Will search: assume, doubt and start over until the rule accepts, at most ${most}.`;
  return `Will think until it is sure, at most ${most}.`;
}

/** The Q-values of a segment. */
export function qSentence(segment) {
  const parts = [["halting", segment.q_halt], ["continuing", segment.q_continue]];
  const known = parts.filter(([, q]) => q !== null).map(([name, q]) => `${name} ${percent(chance(q))}`);
  return known.join(", ") || "unknown";
}

/** An error of backend.js in one line. */
export function errorSentence(error) {
  switch (error.code) {
    case "busy":
      return `The server is busy. Try again in ${count(error.after ?? 5, "second")}.`;
    case "stopping":
      return "The server is stopping and takes no new puzzles.";
    case "timeout":
      return "It took longer than the server allows. Try fewer segments.";
    case "unauthorized":
      return "This server asks for a token.";
    default: {
      const text = error.message || String(error);
      return text[0].toUpperCase() + text.slice(1);
    }
  }
}
