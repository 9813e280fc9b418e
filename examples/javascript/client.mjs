// A client: submits WAV files, connects again when the connection breaks, and gets each result once.
//
//     node client.mjs --pair en:en FILE.wav…          (--url or VOXPOOL_URL, VOXPOOL_TOKEN)
//
// It prints one JSON line for each file, in the order in which their jobs end.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { command } from "./command.mjs";
import { Connection } from "./connection.mjs";

const PATIENCE_MS = 60_000; // how long the scheduler keeps the session of a client that is away
const ACK = { afterMs: 100, afterResults: 100 };

/** The scheduler did not take a submit, and would not take it later. */
export class Rejected extends Error {
  constructor({ reason, detail = "" }) {
    super(detail ? `${reason}: ${detail}` : reason);
    this.reason = reason;
  }
}

export class Client {
  #connection;
  #session = null; // the last welcome
  #isWelcome = false; // whether it is of this connection
  #requests = new Map(); // by request id, in the order of the submits: those that have no result yet
  #handled = 0; // the number of the last result that was handled
  #acknowledged = 0;
  #ackTimer = null;

  constructor(server = {}) {
    this.#connection = new Connection(server, "/ws/session", {
      opened: () => this.#connection.send(this.#hello()),
      received: (message) => this.#received(message),
      lost: () => (this.#isWelcome = false),
    });
    this.ended = this.#connection.run().catch((error) => {
      for (const request of this.#requests.values()) request.reject(error);
      throw error;
    });
    this.ended.catch(() => {}); // a submit reports it
  }

  /** Submit a WAV file (a Buffer); the promise gets the result, whatever its state is. `signal` cancels the job. */
  submit(audio, pair, { requestId = randomUUID(), signal, ...fields } = {}) {
    const submit = { type: "submit", request_id: requestId, pair, audio: audio.toString("base64"), ...fields };
    return new Promise((resolve, reject) => {
      const request = { submit, audioBytes: audio.length, signal, jobId: null, resolve, reject };
      this.ended.catch(reject);
      this.#requests.set(requestId, request);
      signal?.addEventListener("abort", () => this.#cancel(request));
      if (this.#isWelcome) this.#send(request);
    });
  }

  /** Close in good order: the scheduler cancels what has not ended. */
  async close() {
    this.#acknowledge();
    this.#connection.close();
    await this.ended;
    for (const request of this.#requests.values()) request.reject(new Error("the client was closed"));
  }

  #hello() {
    const hello = { type: "hello", acks: true, patience_ms: PATIENCE_MS };
    if (this.#session === null) return hello;
    const { session_id, generation } = this.#session;
    return { ...hello, session_id, generation, resume: true, ack: this.#handled };
  }

  #received(message) {
    if (message.type === "welcome") this.#welcomed(message);
    else if (message.type === "accepted") this.#accepted(message);
    else if (message.type === "rejected") this.#rejected(message);
    else if (message.type === "result") this.#ended(message);
    else if (message.type === "error") console.error(`the scheduler says ${message.reason}: ${message.detail}`);
  }

  #welcomed(welcome) {
    this.#connection.greeted();
    if (welcome.generation !== this.#session?.generation) this.#handled = 0;
    this.#acknowledged = this.#handled;
    this.#session = welcome;
    this.#isWelcome = true;
    for (const request of [...this.#requests.values()]) this.#send(request);
  }

  #accepted({ request_id, job_id }) {
    const request = this.#requests.get(request_id);
    if (request === undefined) return;
    request.jobId = job_id;
    if (request.signal?.aborted) this.#cancel(request);
  }

  #rejected(rejected) {
    const request = this.#requests.get(rejected.request_id);
    if (request === undefined) return;
    if (rejected.retry_after_ms === undefined) return this.#giveUp(request, rejected);
    const again = () => this.#isWelcome && this.#requests.has(rejected.request_id) && this.#send(request);
    setTimeout(again, rejected.retry_after_ms);
  }

  #ended(result) {
    if (result.number <= this.#handled) return; // it came before
    this.#handled = result.number;
    this.#requests.get(result.request_id)?.resolve(result);
    this.#requests.delete(result.request_id);
    if (this.#handled - this.#acknowledged >= ACK.afterResults) this.#acknowledge();
    else this.#ackTimer ??= setTimeout(() => this.#acknowledge(), ACK.afterMs);
  }

  #send(request) {
    const isTooLarge = request.audioBytes > this.#session.limits.audio_bytes_max; // it would end the connection
    if (isTooLarge) return this.#giveUp(request, { reason: "audio_too_large" });
    this.#connection.send({ ...request.submit, ack: this.#handled });
  }

  #giveUp(request, rejected) {
    this.#requests.delete(request.submit.request_id);
    request.reject(new Rejected(rejected));
  }

  #cancel(request) {
    if (request.jobId !== null) this.#connection.send({ type: "cancel", job_id: request.jobId });
  }

  #acknowledge() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    if (!this.#isWelcome || this.#handled === this.#acknowledged) return; // the next hello has it
    this.#acknowledged = this.#handled;
    this.#connection.send({ type: "ack", number: this.#handled });
  }
}

command(import.meta.url, { pair: "en:en" }, async ({ pair, ...server }, files) => {
  const client = new Client(server);
  const results = files.map(async (file) => {
    const { state, attempts, output, error } = await client.submit(await readFile(file), pair);
    console.log(JSON.stringify({ file, state, attempts, output, error }));
    return state;
  });
  process.exitCode = (await Promise.all(results)).every((state) => state === "completed") ? 0 : 1;
  await client.close();
});
