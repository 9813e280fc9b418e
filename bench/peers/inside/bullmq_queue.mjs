// BullMQ. Tuned: 64 jobs at a time, the last 1,000 finished jobs are kept.
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";

const require = createRequire(process.env.NODE_PACKAGES + "/index.js");
const { Queue, QueueEvents, Worker } = require("bullmq");
const IORedis = require("ioredis").default ?? require("ioredis");

const tuned = process.env.VARIANT === "tuned";
const size = Number(process.env.SIZE);
const seconds = Number(process.env.SECONDS);
const connection = () => new IORedis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const now = () => Number(process.hrtime.bigint());

if (process.argv[2] === "worker") {
  const answer = async (job) => ({ n: Buffer.from(job.data.audio, "base64").length, ok: true });
  new Worker("peer", answer, { connection: connection(), ...(tuned ? { concurrency: 64 } : {}) });
} else {
  const keep = tuned ? { defaultJobOptions: { removeOnComplete: { count: 1000 } } } : {};
  const queue = new Queue("peer", { connection: connection(), ...keep });
  const events = new QueueEvents("peer", { connection: connection() });
  await events.waitUntilReady();
  events.setMaxListeners(0);
  const audio = randomBytes(size).toString("base64");
  const call = async () => {
    const output = await (await queue.add("short", { audio })).waitUntilFinished(events, 60_000);
    if (output.n !== size || output.ok !== true) throw new Error(JSON.stringify(output));
  };
  for (let number = 0; number < 101; number += 1) await call();
  for (const inFlight of process.env.IN_FLIGHT.split(",").map(Number)) {
    const jobs = [];
    const end = now() + seconds * 1e9;
    const oneAfterTheOther = async () => {
      for (let start = now(); start < end; start = now()) {
        await call();
        jobs.push([now(), now() - start]);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, oneAfterTheOther));
    await new Promise((written) => process.stdout.write(JSON.stringify({ in_flight: inFlight, jobs }) + "\n", written));
  }
  process.exit(0);
}
