// The one way of this page to a model: the service that it came from. A page without a server puts another
// module with the same names in its place (hrm_rl/serving/onnx_page/scripts).

import { BackendError } from "./fault.js";

const TOKEN = "hrm-rl token";

/** Remember the token that the service asks for, until the tab is closed. */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

/** Whether one was given. */
export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

export async function models() {
  return (await get("v1/models")).models;
}

export async function tasks() {
  return (await get("v1/tasks")).tasks;
}

/** A new puzzle: {puzzle, tokens, identifier, solution, solutions, seed, ...}. */
export async function random(task, level) {
  return get(`v1/puzzles/random?${new URLSearchParams({ task, level })}`);
}

/** What a text is to a task: {tokens, identifier}. Throws BackendError. */
export async function read(task, puzzle) {
  const response = await send("v1/puzzles/read", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ task, puzzle }),
  });
  return response.json();
}

/** Think about one puzzle. Yields {event, data} for begin, segment and result; throws BackendError.
 * request: the body of POST /v1/solve/stream; signal: an AbortSignal that frees the model. */
export async function* think(request, signal) {
  const response = await send("v1/solve/stream", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify(request),
    signal,
  });
  let ended = false;
  try {
    for await (const { event, data } of events(response.body)) {
      if (event === "error") throw told(data.error);
      ended = event === "result";
      yield { event, data };
      if (ended) return;
    }
  } catch (error) {
    if (error instanceof BackendError || error.name === "AbortError") throw error;
  }
  if (!ended) throw new BackendError("lost", "The connection was lost before the answer came.");
}

/** Server-sent events of a body, as {event, data}. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest = (rest + value).replaceAll("\r\n", "\n");
      const parts = rest.split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        let event = "message";
        const data = [];
        for (const line of part.split("\n")) {
          if (line.startsWith("event:")) event = line.slice(6).trim();
          if (line.startsWith("data:")) data.push(line.slice(5));
        }
        if (data.length) yield { event, data: JSON.parse(data.join("\n")) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function get(path) {
  return (await send(path, { headers: { Accept: "application/json" } })).json();
}

async function send(path, options) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new BackendError("offline", "The server does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw told(body?.error ?? {}, response);
}

function told(error, response = null) {
  const after = Number(response?.headers.get("Retry-After")) || null;
  const codes = { 401: "unauthorized", 422: "invalid", 429: "busy", 503: "stopping", 504: "timeout" };
  const code = error.code ?? codes[response?.status] ?? "internal";
  return new BackendError(code, error.message ?? `The server answered ${response?.status}.`, {
    cell: error.cell ?? null,
    after,
  });
}
