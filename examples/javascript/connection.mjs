// One WebSocket to a scheduler that is opened again whenever it breaks. Used by client.mjs and worker.mjs.

import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";

const PAUSE_MS = { first: 100, longest: 5000 };
const PING_MS = 15_000;
const RETRYABLE = new Set(["stopping", "connections_max", "sessions_max", "nodes_max", "viewers_max", "store_behind"]);
const FINAL_CODES = new Set([1002, 1009, 4000, 4001]);
const FINAL_STATUSES = new Set([400, 401, 403, 404, 421]);

/** The scheduler does not take this peer, and trying again would not help. */
export class Refused extends Error {}

export class Connection {
  #socket = null;
  #isClosing = false;
  #pauseMs = PAUSE_MS.first;
  #wake = new AbortController();

  /** `path` is the endpoint. `opened()` is called for each new connection, `received(message)` for each message,
   * `lost()` when it has ended. */
  constructor({ url = "ws://127.0.0.1:5010", token }, path, { opened, received, lost }) {
    this.url = url.replace(/^http/, "ws").replace(/\/$/, "") + path;
    this.headers = token ? { authorization: `Bearer ${token}` } : {};
    this.peer = { opened, received, lost };
  }

  /** Stay connected until `close` was called. Throws Refused. */
  async run() {
    while (!this.#isClosing) {
      await this.#connectOnce();
      if (this.#isClosing) return;
      const pauseMs = this.#pauseMs * (1 - Math.random() / 2);
      this.#pauseMs = Math.min(2 * this.#pauseMs, PAUSE_MS.longest);
      await sleep(pauseMs, undefined, { signal: this.#wake.signal }).catch(() => {});
    }
  }

  /** The scheduler has answered the first message: the next pause is a short one again. */
  greeted() {
    this.#pauseMs = PAUSE_MS.first;
  }

  /** Send `message`; without a connection it is lost. */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Close in good order, after what was sent. */
  close() {
    this.#isClosing = true;
    this.#wake.abort();
    this.#socket?.close(1000);
  }

  #connectOnce() {
    return new Promise((resolve, reject) => {
      const socket = (this.#socket = new WebSocket(this.url, { headers: this.headers, perMessageDeflate: false }));
      let hasAnswered = true;
      const pings = setInterval(() => {
        if (!hasAnswered) return socket.terminate(); // nobody is there any more
        hasAnswered = false;
        if (socket.readyState === WebSocket.OPEN) socket.ping();
      }, PING_MS);
      let refusal = null;
      socket.on("open", () => (this.#isClosing ? socket.close(1000) : this.peer.opened()));
      socket.on("message", (data) => this.peer.received(JSON.parse(data)));
      socket.on("pong", () => (hasAnswered = true));
      socket.on("error", () => {}); // "close" follows
      socket.on("unexpected-response", (request, response) => {
        if (FINAL_STATUSES.has(response.statusCode)) refusal = `HTTP ${response.statusCode}`;
        request.destroy();
        socket.terminate();
      });
      socket.on("close", (code, reason) => {
        clearInterval(pings);
        this.peer.lost();
        if (FINAL_CODES.has(code) || (code === 1008 && !RETRYABLE.has(`${reason}`))) refusal = `${code} ${reason}`;
        if (refusal !== null) reject(new Refused(`the scheduler refuses this peer: ${refusal}`));
        else resolve();
      });
    });
  }
}
