// What the reader takes along: text, a link, JSON, a GIF.

import { encodeGif } from "./gif.js";
import { paint, sizeOf } from "./picture.js";
import { compact, write } from "./text.js";
import { abandoned, cellsOf } from "./view.js";
import { taskName, verdict } from "./words.js";

const MOST_FRAMES = 150;

/** A run in lines of text. lanes: those that have thought. */
export function asText(task, puzzle, lanes) {
  const parts = [`${taskName(task)}\n${write(task, puzzle)}`];
  for (const lane of lanes) {
    const last = lane.segments.at(-1);
    if (!last) continue;
    const { text } = verdict(last, lane.result);
    const how = `${lane.asked.model}, ${lane.asked.mode}, at most ${lane.asked.segments} segments`;
    parts.push(`${how}\n${text || `Stopped after segment ${last.segment}`}\n${write(task, last.answer)}`);
  }
  return `${parts.join("\n\n")}\n`;
}

/** A run as JSON: what was asked, and every event. */
export function asJson(task, puzzle, lanes, identifier = 0) {
  const runs = lanes.map(({ asked, begun, segments, result }) => ({ asked, begin: begun, segments, result }));
  return `${JSON.stringify({ task: task.task, puzzle: compact(task, puzzle), tokens: puzzle, identifier, runs })}\n`;
}

/** Bytes of a GIF of the run. speed: segments a second. pause(): waits, so that the page stays alive. */
export async function asGif(task, puzzle, lanes, speed, pause) {
  const length = Math.max(...lanes.map((lane) => lane.segments.length));
  const every = Math.ceil(length / MOST_FRAMES);
  const positions = Array.from({ length: length + 1 }, (_, i) => i)
    .filter((i) => i === 0 || i === length || i % every === 0);
  const [width, height] = sizeOf(lanes.length);
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const frames = [];
  for (const position of positions) {
    paint(context, lanes.map((lane) => panel(task, puzzle, lane, position)));
    const delay = position === length ? 3000 : position === 0 ? 1000 : 1000 / Math.min(speed, 20);
    frames.push({ picture: context.getImageData(0, 0, width, height), delay });
    await pause();
  }
  return encodeGif(frames, pause);
}

function panel(task, puzzle, lane, position) {
  const segment = lane.at(position);
  const { text, kind } = verdict(segment, lane.result);
  const start = segment?.start ? `, start ${segment.start + 1}` : "";
  return {
    task, puzzle, kind, cells: cellsOf(task, puzzle, segment, null, lane.unknown), answer: segment?.answer ?? puzzle,
    gone: Boolean(segment) && abandoned(segment),
    title: `${lane.asked.model}, ${lane.asked.mode}`,
    foot: segment ? `Segment ${segment.segment}${start}${text ? `: ${text.toLowerCase()}` : ""}` : "The puzzle",
  };
}

/** Copy text. Resolves to whether that worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy"); // pages that are not served from this machine or by https
    area.remove();
    return done;
  }
}
