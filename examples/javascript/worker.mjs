// A worker node: works on as many jobs at a time as it has slots, and connects again when the connection breaks.
//
//     node worker.mjs --id gpu-1 --pair en:en --slots 2          (--url or VOXPOOL_URL, VOXPOOL_TOKEN)
//
// SIGTERM or Ctrl-C drains it: it takes no new jobs, answers those that it has, and ends. A second one ends it at once.

import { randomUUID } from "node:crypto";
import { command } from "./command.mjs";
import { Connection } from "./connection.mjs";

const HEARTBEAT_MS = 15_000; // until the scheduler has named its own
const PASSING = new Set(["not_held", "bad_output", "output_too_large"]);

/** What work throws for audio with which no node will succeed; `retryable`: another node may. */
export class WorkFailed extends Error {
  constructor(reason, detail = "", { retryable = false } = {}) {
    super(detail);
    this.error = { reason, detail, retryable };
  }
}

export class Worker {
  #connection;
  #work;
  #register;
  #attempts = new Map(); // by job id and attempt: assigned, and no result sent yet
  #atWork = 0; // with cancelled attempts whose work has not returned
  #isRegistered = false;
  #isDraining = false;
  #beats = null;

  /** `work({ jobId, attempt, pair, audio }, signal)` returns the output, or a promise of it; `signal` is its cancel. */
  constructor({ nodeId, pairs, slots = 1, work, ...server }) {
    this.#work = work;
    this.#register = { type: "register", node_id: nodeId, process_id: `p-${randomUUID()}`, pairs, slots };
    this.#connection = new Connection(server, "/ws/node", {
      opened: () => this.#introduce(),
      received: (message) => this.#received(message),
      lost: () => this.#lost(),
    });
  }

  /** Work until `drain` was called and every job is answered. Throws Refused. */
  run() {
    return this.#connection.run();
  }

  /** Take no new jobs, answer those that it has, then end `run`. */
  drain() {
    this.#isDraining = true;
    this.#connection.send({ type: "drain", on: true });
    this.#closeIfDone();
  }

  #introduce() {
    this.#isRegistered = false;
    this.#connection.send({ ...this.#register, running: this.#running(), now_ms: Date.now() });
    this.#beatEvery(HEARTBEAT_MS);
  }

  #lost() {
    this.#isRegistered = false;
    clearInterval(this.#beats);
    this.#closeIfDone();
  }

  #running() {
    return [...this.#attempts.values()].map(({ id }) => id);
  }

  #beatEvery(everyMs) {
    clearInterval(this.#beats);
    this.#beats = setInterval(() => this.#connection.send({ type: "heartbeat", running: this.#running() }), everyMs);
  }

  #received(message) {
    if (message.type === "registered") this.#registered(message);
    else if (message.type === "assign") this.#assigned(message);
    else if (message.type === "cancel") this.#cancelled(message);
    else if (message.type === "reregister") this.#introduce();
    else if (message.type === "error" && !PASSING.has(message.reason)) {
      console.error(`the scheduler says ${message.reason}: ${message.detail}`); // and closes the connection
    }
  }

  #registered({ heartbeat_ms }) {
    this.#connection.greeted();
    this.#isRegistered = true;
    this.#beatEvery(heartbeat_ms);
    if (this.#isDraining) this.#connection.send({ type: "drain", on: true });
    for (const attempt of [...this.#attempts.values()]) this.#answer(attempt);
  }

  #assigned(assign) {
    const id = [assign.job_id, assign.attempt];
    if (this.#attempts.has(`${id}`)) return;
    if (this.#isDraining || this.#atWork >= this.#register.slots) {
      return this.#connection.send({ type: "result", job_id: id[0], attempt: id[1], busy: true });
    }
    this.#attempts.set(`${id}`, { id, cancel: new AbortController(), result: null });
    this.#workOn(this.#attempts.get(`${id}`), assign);
  }

  async #workOn(attempt, { job_id, attempt: number, pair, audio }) {
    this.#atWork += 1;
    const job = { jobId: job_id, attempt: number, pair, audio: Buffer.from(audio, "base64") };
    const result = { type: "result", job_id, attempt: number };
    try {
      result.output = (await this.#work(job, attempt.cancel.signal)) ?? null;
    } catch (error) {
      const unexpected = { reason: "engine_error", retryable: true, detail: `${error}` };
      result.error = error instanceof WorkFailed ? error.error : unexpected;
    }
    this.#atWork -= 1;
    attempt.result = result;
    this.#answer(attempt);
  }

  #answer(attempt) {
    if (!this.#isRegistered || attempt.result === null || !this.#attempts.delete(`${attempt.id}`)) return;
    this.#connection.send(attempt.result);
    this.#closeIfDone();
  }

  #cancelled({ job_id, attempt: number }) {
    const key = `${[job_id, number]}`;
    this.#attempts.get(key)?.cancel.abort();
    this.#attempts.delete(key);
    this.#closeIfDone();
  }

  #closeIfDone() {
    if (this.#isDraining && this.#attempts.size === 0) this.#connection.close();
  }
}

/** Run `worker` until it is drained by a signal; a second signal ends the process at once. */
export async function runUntilSignalled(worker) {
  let signals = 0;
  const signalled = () => (signals++ === 0 ? worker.drain() : process.exit(1));
  process.on("SIGTERM", signalled).on("SIGINT", signalled);
  await worker.run();
}

command(import.meta.url, { id: "js-1", pair: "en:en", slots: "1" }, ({ id, pair, slots, ...server }) => {
  const work = ({ audio }) => ({ bytes: audio.length }); // your own work stands here
  return runUntilSignalled(new Worker({ ...server, nodeId: id, pairs: [pair], slots: Number(slots), work }));
});
