// Requests to the scheduler, with the token of this tab if there is one. The token is kept in sessionStorage only:
// it goes with the tab, and no other page of this browser gets it.

const KEY = "voxpool.token";
let token = "";
try {
  token = sessionStorage.getItem(KEY) ?? "";
} catch {
  // storage is forbidden here: the token lasts as long as the page
}

/** What the scheduler refused: `status`, its stable `reason`, and `message` for people. */
export class Refused extends Error {
  constructor(status, reason, detail, retryAfterMs) {
    super(detail);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether a token is set. */
export const hasToken = () => token !== "";

/** The token, or "": for the first message of a WebSocket, whose headers a page can't set. */
export const currentToken = () => token;

/** Use `text` as the token from now on; "" forgets it. */
export function setToken(text) {
  token = text;
  try {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  } catch {
    // as above
  }
}

/** Return the response of `path` (relative to this page). Throws Refused, or TypeError when nobody answers. */
export async function request(path, options = {}) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { cache: "no-store", credentials: "same-origin", ...options, headers });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Return the JSON that `path` answers. */
export async function get(path) {
  return (await request(path)).json();
}

/** POST without a body; return the JSON of the answer. */
export async function post(path) {
  return (await request(path, { method: "POST" })).json();
}

async function refusal(response) {
  let problem = {};
  try {
    problem = await response.json();
  } catch {
    // a proxy's answer, not ours: the status must do
  }
  const detail = problem.detail ?? `${response.status} ${response.statusText}`;
  return new Refused(response.status, problem.reason ?? "", detail, problem.retry_after_ms ?? 0);
}
