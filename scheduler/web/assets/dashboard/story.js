// The life of a job, from the answers of the scheduler about it. Pure.

import { plural, words } from "../common/format.js";

/** Return the phases of `job` up to now: [{label, ms, style}], from what was decided if that was kept. */
export function phases(job, why, nowMs) {
  const endMs = job.times_ms ? job.submitted_ms + job.times_ms.total : nowMs;
  return why.followed && why.dropped === 0 ? decidedPhases(job, why, endMs) : knownPhases(job, endMs);
}

function decidedPhases(job, why, endMs) {
  const found = [];
  let sinceMs = job.submitted_ms;
  let held = null;
  const close = (untilMs, isLost) => {
    if (held) {
      const label = `attempt ${held.attempt} on ${held.node_id}`;
      found.push({ label, ms: untilMs - sinceMs, style: isLost ? "lost" : job.times_ms ? job.state : "dispatched" });
    } else if (untilMs > sinceMs || found.length === 0) {
      found.push({ label: "waiting", ms: untilMs - sinceMs, style: "waiting" });
    }
    sinceMs = untilMs;
  };
  for (const decision of why.decisions) {
    if (decision.what === "dispatched") {
      close(decision.at_ms, false);
      held = decision;
    } else if (decision.what === "redispatched") {
      close(decision.at_ms, true);
      held = null;
    }
  }
  close(Math.max(endMs, sinceMs), false);
  return found;
}

function knownPhases(job, endMs) {
  const times = job.times_ms;
  const dispatchedMs = times ? job.submitted_ms + times.waiting : job.state === "dispatched" ? job.dispatched_ms : 0;
  if (!dispatchedMs || (times && !job.node_id)) {
    return [{ label: "waiting", ms: endMs - job.submitted_ms, style: "waiting" }];
  }
  const earlier = job.attempts > 1 ? ` and ${plural(job.attempts - 1, "earlier attempt")}` : "";
  return [
    { label: `waiting${earlier}`, ms: dispatchedMs - job.submitted_ms, style: "waiting" },
    { label: `attempt ${job.attempts} on ${job.node_id}`, ms: endMs - dispatchedMs, style: times ? job.state : "dispatched" },
  ];
}

/** Return the steps of its life: [{afterMs, text, detail, style}]. */
export function steps(job, why) {
  if (!why.followed) return knownSteps(job);
  const steps = why.decisions.map((decision) => ({ afterMs: decision.at_ms - job.submitted_ms, ...tell(decision) }));
  if (why.dropped) steps.unshift({ afterMs: null, text: `${plural(why.dropped, "older step")} not kept`, style: "muted" });
  return steps;
}

function knownSteps(job) {
  const found = [{ afterMs: 0, text: "Submitted", style: "" }];
  const times = job.times_ms;
  const waitedMs = times ? times.waiting : job.dispatched_ms ? job.dispatched_ms - job.submitted_ms : null;
  if (job.attempts > 1) found.push({ afterMs: null, text: `${plural(job.attempts - 1, "attempt")} given up`, style: "lost" });
  if (job.node_id && waitedMs !== null) found.push({ afterMs: waitedMs, text: `Sent to ${job.node_id}`, detail: `attempt ${job.attempts}`, style: "" });
  if (times) found.push({ afterMs: times.total, text: ended(job.error ?? job.state), style: job.state });
  else if (job.state === "waiting") found.push({ afterMs: null, text: "Waits for a node", style: "waiting" });
  else found.push({ afterMs: null, text: `${job.node_id} works on it`, style: "dispatched" });
  return found;
}

function tell(decision) {
  const { what, attempt, node_id: node, reason, detail: text = "", pause_ms: pauseMs = 0 } = decision;
  if (what === "submitted") return { text: "Submitted", style: "" };
  if (what === "dispatched") return { text: `Sent to ${node}`, detail: `attempt ${attempt}`, style: "" };
  if (what === "redispatched") return { text: `Taken back from ${node}`, detail: `attempt ${attempt}: ${text || words(reason)}${pauseMs ? `; queued again after ${pauseMs} ms` : ""}`, style: "lost" };
  if (what === "stale") return { text: `Allocation of ${node} handed back`, detail: "it is not connected here", style: "lost" };
  if (what === "ended") return { text: ended(reason), detail: [node && `on ${node}`, text].filter(Boolean).join(": "), style: reason === "completed" ? "completed" : "failed" };
  return look(decision);
}

function look({ attempt = 1, node_id: node, reason, looked = 0, looks = [] }) {
  const seen = looks.map(([id, word, load, slots]) => `${id} ${words(word)}${load === null ? "" : ` ${load}/${slots}`}`);
  if (looked > looks.length) seen.push(`${looked - looks.length} more`);
  const text = node ? `${node} chosen for attempt ${attempt}` : `No node for attempt ${attempt}: ${words(reason)}`;
  return { text, detail: seen.length ? `looked at ${seen.join(", ")}` : "there was no node to look at", style: node ? "" : "waiting" };
}

const ended = (reason) => `Ended: ${words(reason)}`;
