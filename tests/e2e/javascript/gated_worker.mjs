// The worker of examples/javascript, whose jobs end when a file exists: node gated_worker.mjs URL ID PAIR SLOTS FILE
// It prints a line when it begins a job and when one is cancelled.

import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker, runUntilSignalled } from "../../../examples/javascript/worker.mjs";

const [url, nodeId, pair, slots, file] = process.argv.slice(2);
const print = (event, job) => console.log(JSON.stringify({ event, job_id: job.jobId, attempt: job.attempt }));

async function work(job, signal) {
  print("began", job);
  while (!existsSync(file) && !signal.aborted) await sleep(10);
  if (signal.aborted) print("cancelled", job);
  if (job.audio.length % 2) throw new Error("half a sample");
  return { bytes: job.audio.length, attempt: job.attempt };
}

await runUntilSignalled(new Worker({ url, nodeId, pairs: [pair], slots: Number(slots), work }));
