// A client of /ws/session for browsers: it connects, comes back, and brings every submit to its one answer. It needs
// nothing but a browser, so that it can be copied into other pages:
//
//   const client = new SessionClient({ url: "wss://host/ws/session", token });
//   client.start();
//   const request = client.submit(wavBytes, "zh:en");
//   const { state, output, error } = await request.result;
//
// What was submitted and not answered is submitted again after a reconnect, under the same request id, so that each
// request is done once however often the connection breaks. Results are acknowledged by their numbers, with the next
// submit or after a short time, so that each comes once (docs/protocol.md).

export const PROTOCOL = 1;

const CONNECT_MAX_MS = 10_000; // for the connection and the greeting together
const PAUSE_MIN_MS = 200;
const PAUSE_MAX_MS = 5000;
const REJECTED_PAUSE_MAX_MS = 30_000;
const GOODBYE = 1000; // codes of a close, as in RFC 6455: this one gives up what is not done
const TOO_BIG = 1009;
const REPLACED = 4000;
const TOKEN_REMOVED = 4001;
const BACK_SOON = 4002; // any code but a goodbye lets the jobs go on until this client is back
const ACK_MS = 100;
const PIECE_BYTES = 0x8000 - 2; // a multiple of 3, so that the base64 of the pieces is that of the whole

/** A submit that was not taken. `reason` is a stable word; with `retryAfterMs` the same may be taken then. */
export class Rejected extends Error {
  constructor(reason, detail, retryAfterMs = null) {
    super(detail || reason);
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * A submit on its way. `phase` is queued (no connection takes it now), sent, accepted (it is a job: `jobId`), paused
 * (`refusal` says why it was rejected, `retryAtMs` when it is sent again), cancelling, or done. `result` is a promise
 * of {state, output, error, detail, attempts, times_ms, job_id}, where state is completed, failed or cancelled; or it throws
 * Rejected.
 */
export class Request {
  constructor(requestId, audio, pair, why, onChange) {
    Object.assign(this, { requestId, audio, pair, why, onChange });
    this.phase = "queued";
    this.jobId = "";
    this.refusal = null;
    this.retryAtMs = 0;
    this.retryUntilMs = 0;
    this.timer = 0;
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.result.catch(() => {}); // a late reader must not cause an unhandled rejection
  }

  /** Go to another phase. */
  become(phase) {
    this.phase = phase;
    this.onChange(this);
  }
}

/** Return a name that nobody else draws. */
export function freshId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `${prefix}-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export class SessionClient {
  /**
   * `url` is that of the WebSocket, `token` goes into the greeting. `retryMs`: how long a submit that was rejected
   * because of a bound is tried again. `onState` gets {kind, ...} at each change: connecting, open, lost (`detail`,
   * `retryAtMs`), denied (the token does not count: `reason`, `detail`), refused (for good: the same), closed.
   */
  constructor({ url, token = "", sessionId = freshId("s"), retryMs = 60_000, onState = () => {} }) {
    Object.assign(this, { url, token, sessionId, retryMs, onState });
    this.limits = {};
    this.connects = 0;
    this.requests = new Map();
    this.unwanted = new Set(); // jobs that were given up while there was no connection to say so
    this.generation = ""; // what the numbers of results belong to
    this.handled = 0; // the number of the last result
    this.acknowledged = 0;
    this.ackTimer = 0;
    this.socket = null;
    this.isOpen = false;
    this.isStopped = true;
    this.pauseMs = PAUSE_MIN_MS;
    this.timer = 0;
    this.online = () => this.isStopped || this.isOpen || this.start();
    this.offline = () => this.isStopped || this.#lost("this device is offline");
  }

  /** Connect now, whatever was; from then on it stays connected. */
  start() {
    if (this.isStopped) {
      addEventListener("online", this.online);
      addEventListener("offline", this.offline);
    }
    this.isStopped = false;
    this.#connect();
  }

  /** Say goodbye: the scheduler cancels what is not done. Requests stay as they are until it starts again. */
  close() {
    this.#stop({ kind: "closed" });
  }

  /** Use another token from now on. */
  setToken(token) {
    this.token = token;
    this.start();
  }

  /** Submit `audio` (bytes of a WAV file); the same `requestId` again is the same request. */
  submit(audio, pair, { requestId = freshId("r"), why = false, onChange = () => {} } = {}) {
    const known = this.requests.get(requestId);
    if (known) return known;
    const request = new Request(requestId, audio, pair, why, onChange);
    this.requests.set(requestId, request);
    if (this.isOpen) this.#send(request);
    return request;
  }

  /** Cancel a request; the state of its result shows whether it was cancelled. */
  cancel(request) {
    if (request.phase === "done" || request.phase === "cancelling") return;
    if (this.isOpen && (request.phase === "sent" || request.phase === "accepted")) {
      request.become("cancelling");
      if (request.jobId) this.#write({ type: "cancel", job_id: request.jobId });
      return;
    }
    if (request.jobId) this.unwanted.add(request.jobId);
    this.#end(request);
    request.resolve({ state: "cancelled", error: "cancelled", attempts: 0, job_id: request.jobId, times_ms: null });
  }

  #connect() {
    this.#drop();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.onState({ kind: "connecting" });
    const isMine = () => this.socket === socket;
    this.timer = setTimeout(() => isMine() && this.#lost("it does not answer"), CONNECT_MAX_MS);
    socket.addEventListener("open", () => {
      if (isMine()) this.#write(this.#hello());
    });
    socket.addEventListener("message", ({ data }) => {
      if (isMine()) this.#take(data);
    });
    socket.addEventListener("close", ({ code }) => {
      if (isMine()) this.#closed(code);
    });
  }

  #hello() {
    const resume = this.connects > 0;
    const hello = { type: "hello", protocol: PROTOCOL, session_id: this.sessionId, resume, acks: true };
    if (this.generation) Object.assign(hello, { generation: this.generation, ack: this.handled });
    if (this.token) hello.token = this.token;
    return hello;
  }

  #drop(code = BACK_SOON) {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    this.isOpen = false;
    socket?.close(code);
  }

  #stop(state) {
    this.isStopped = true;
    removeEventListener("online", this.online);
    removeEventListener("offline", this.offline);
    this.#drop(GOODBYE);
    this.#requeue();
    this.onState(state);
  }

  #closed(code) {
    if (code === TOKEN_REMOVED) {
      this.#stop({ kind: "denied", reason: "unauthorized", detail: "the token was taken back" });
    } else if (code === REPLACED) {
      this.#stop({ kind: "refused", reason: "replaced", detail: "another page goes on with this session" });
    } else {
      if (code === TOO_BIG) this.#rejectSent(new Rejected("audio_too_large", "no message of that size is taken"));
      this.#lost(this.isOpen ? "the connection ended" : "the scheduler does not answer");
    }
  }

  /** Connect again after a pause, which is longer each time and never in step with others. */
  #lost(detail, atLeastMs = 0) {
    this.#drop();
    const pauseMs = Math.max(atLeastMs, this.pauseMs * (0.5 + Math.random() / 2));
    this.pauseMs = Math.min(PAUSE_MAX_MS, 2 * this.pauseMs);
    this.timer = setTimeout(() => this.#connect(), pauseMs);
    this.#requeue();
    this.onState({ kind: "lost", detail, retryAtMs: Date.now() + pauseMs });
  }

  #requeue() {
    for (const request of [...this.requests.values()]) {
      if (request.phase === "cancelling") this.cancel(Object.assign(request, { phase: "queued" }));
      else if (request.phase === "sent") request.become("queued");
    }
  }

  #take(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      this.#lost("what it says can't be understood");
      return;
    }
    const request = this.requests.get(message.request_id);
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "error" && !this.isOpen) this.#turnedAway(message);
    else if (message.type === "accepted" && request) this.#accepted(request, message);
    else if (message.type === "rejected" && request) this.#rejected(request, message);
    else if (message.type === "result") this.#result(request, message);
  }

  #welcome({ protocol = PROTOCOL, limits, generation = "" }) {
    if (protocol !== PROTOCOL) {
      this.#stop({ kind: "refused", reason: "bad_protocol", detail: `it speaks ${protocol}, this page ${PROTOCOL}` });
      return;
    }
    clearTimeout(this.timer);
    this.limits = limits;
    this.connects += 1;
    if (generation !== this.generation) {
      // Another scheduler, or one that has forgotten the session: the numbers begin anew.
      this.generation = generation;
      this.handled = 0;
    }
    this.acknowledged = this.handled;
    this.pauseMs = PAUSE_MIN_MS;
    this.isOpen = true;
    this.onState({ kind: "open" });
    for (const jobId of this.unwanted) this.#write({ type: "cancel", job_id: jobId });
    this.unwanted.clear();
    for (const request of [...this.requests.values()]) {
      if (request.phase !== "paused") this.#send(request);
    }
  }

  /** The scheduler does not want this client: for now, without another token, or at all. */
  #turnedAway({ reason, detail, retry_after_ms: afterMs }) {
    if (reason === "unauthorized" || reason === "forbidden") this.#stop({ kind: "denied", reason, detail });
    else if (afterMs === undefined || afterMs === null) this.#stop({ kind: "refused", reason, detail });
    else this.#lost(detail, afterMs);
  }

  #accepted(request, { job_id: jobId }) {
    request.jobId = jobId; // after a restart of the scheduler it is another one
    if (request.phase === "cancelling") this.#write({ type: "cancel", job_id: jobId });
    else request.become("accepted");
  }

  #rejected(request, { reason, detail, retry_after_ms: afterMs }) {
    const refusal = new Rejected(reason, detail, afterMs ?? null);
    if (reason === "stopping" && request.phase !== "cancelling") {
      // This scheduler ends and will close the connection: the request goes to the next one.
      request.refusal = refusal;
      request.become("queued");
      return;
    }
    const pauseMs = Math.min(Math.max(refusal.retryAfterMs, 1), REJECTED_PAUSE_MAX_MS) * (1 + Math.random() / 2);
    const isOver = Date.now() + pauseMs > request.retryUntilMs || request.phase === "cancelling";
    if (refusal.retryAfterMs === null || isOver) {
      this.#end(request);
      request.reject(refusal);
      return;
    }
    request.refusal = refusal;
    request.retryAtMs = Date.now() + pauseMs;
    request.timer = setTimeout(() => {
      if (this.isOpen) this.#send(request);
      else request.become("queued");
    }, pauseMs);
    request.become("paused");
  }

  #result(request, result) {
    if (result.number !== undefined) {
      if (result.number <= this.handled) return; // it came before
      this.handled = result.number;
      this.ackTimer ||= setTimeout(() => this.#acknowledge(), ACK_MS);
    }
    if (request) this.#answered(request, result);
  }

  #acknowledge() {
    this.ackTimer = 0;
    if (!this.isOpen || this.handled === this.acknowledged) return;
    this.acknowledged = this.handled;
    this.#write({ type: "ack", number: this.handled });
  }

  #answered(request, result) {
    request.jobId = result.job_id;
    this.#end(request);
    request.resolve(result);
  }

  #rejectSent(refusal) {
    for (const request of [...this.requests.values()]) {
      if (request.phase !== "sent") continue;
      this.#end(request);
      request.reject(refusal);
    }
  }

  #end(request) {
    clearTimeout(request.timer);
    this.requests.delete(request.requestId);
    request.become("done");
  }

  #send(request) {
    const bytesMax = this.limits.audio_bytes_max ?? Infinity;
    if (request.audio.length > bytesMax) {
      this.#end(request);
      request.reject(new Rejected("audio_too_large", `${request.audio.length} bytes; ${bytesMax} are the most`));
      return;
    }
    request.retryUntilMs ||= Date.now() + this.retryMs; // how long there was no connection does not count
    const { requestId, pair, audio, why } = request;
    this.acknowledged = this.handled;
    this.#write({ type: "submit", request_id: requestId, pair, audio: base64(audio), why, ack: this.handled });
    request.become("sent");
  }

  #write(message) {
    this.socket.send(JSON.stringify(message));
  }
}

/** Return bytes as base64. */
export function base64(bytes) {
  const pieces = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(at, at + PIECE_BYTES))));
  }
  return pieces.join("");
}
