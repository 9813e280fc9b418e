// The live stream: server-sent events read by fetch, because EventSource can't send a token. It connects again by
// itself, with growing pauses, and says what it is at. A tab that nobody sees for a while lets go of it.

import { Refused, request } from "../common/api.js";

const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 5000;
const SILENCE_MAX_MS = 30_000;
const HIDDEN_MAX_MS = 60_000;

export class DashboardStream {
  /**
   * `onEvent(kind, data)` gets each event, `onState(state)` each change: {kind, detail, retryAtMs} where kind is
   * connecting, live, lost, denied (401 or 403: `status`) or hidden.
   */
  constructor(path, onEvent, onState) {
    this.path = path;
    this.onEvent = onEvent;
    this.onState = onState;
    this.pauseMs = PAUSE_MIN_MS;
    this.timer = 0;
    this.hiddenTimer = 0;
    this.abort = null;
    document.addEventListener("visibilitychange", () => this.#seen(document.visibilityState === "visible"));
  }

  /** Connect now, whatever was. */
  start() {
    this.#stop();
    this.#run();
  }

  #stop() {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
  }

  #seen(visible) {
    clearTimeout(this.hiddenTimer);
    if (visible) {
      if (this.isHidden) this.start();
      this.isHidden = false;
    } else {
      this.hiddenTimer = setTimeout(() => {
        this.isHidden = true;
        this.#stop();
        this.onState({ kind: "hidden" });
      }, HIDDEN_MAX_MS);
    }
  }

  async #run() {
    const abort = new AbortController();
    this.abort = abort;
    this.onState({ kind: "connecting" });
    let failure = null;
    try {
      const response = await request(this.path, { signal: abort.signal });
      await this.#read(response.body.getReader(), abort);
    } catch (error) {
      failure = error;
    }
    if (this.abort !== abort) return; // another run took over
    this.abort = null;
    if (failure instanceof Refused && (failure.status === 401 || failure.status === 403)) {
      this.onState({ kind: "denied", status: failure.status, detail: failure.message });
      return;
    }
    const unanswered = failure ? "the scheduler does not answer" : "the connection ended";
    const detail = failure instanceof Refused ? failure.message : unanswered;
    const pauseMs = Math.max(failure?.retryAfterMs ?? 0, this.pauseMs * (0.75 + Math.random() / 2));
    this.pauseMs = Math.min(PAUSE_MAX_MS, 2 * this.pauseMs);
    this.onState({ kind: "lost", detail, retryAtMs: Date.now() + pauseMs });
    this.timer = setTimeout(() => this.#run(), pauseMs);
  }

  async #read(reader, abort) {
    const decoder = new TextDecoder();
    let text = "";
    let watchdog = 0;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => reader.cancel().catch(() => {}), SILENCE_MAX_MS);
    };
    try {
      alive();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || abort.signal.aborted) return;
        alive();
        text += decoder.decode(value, { stream: true });
        let end;
        while ((end = text.indexOf("\n\n")) >= 0) {
          this.#event(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } finally {
      clearTimeout(watchdog);
    }
  }

  #event(text) {
    let kind = "";
    let data = "";
    for (const line of text.split("\n")) {
      if (line.startsWith("event: ")) kind = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (!data) return;
    if (kind === "now") {
      this.pauseMs = PAUSE_MIN_MS;
      this.onState({ kind: "live" });
    }
    this.onEvent(kind, JSON.parse(data));
  }
}
