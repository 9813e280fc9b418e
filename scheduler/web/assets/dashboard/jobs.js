// The jobs: how many are in which state, and those that ended last.

import { h, setAttribute, setText } from "../common/dom.js";
import { bytes, clock, duration, plural, whole, words } from "../common/format.js";
import { commandHint, submitCommand } from "../common/hint.js";
import { Table, textCell } from "./table.js";

const STATES = ["waiting", "dispatched", "completed", "failed", "cancelled"];
const LONG = ["clean-up", "waiting by priority", "largest key"];

export class JobsPanel {
  /** `onOpen` gets the id of the job to show. */
  constructor(place, sub, endedPlace, onOpen) {
    this.sub = sub;
    this.lists = [[], []];
    this.parts = Object.fromEntries(STATES.map((state) => [state, h("i", { class: state })]));
    this.counts = Object.fromEntries(STATES.map((state) => [state, h("b", { text: "–" })]));
    const keys = STATES.map((state) => {
      return h("li", {}, h("i", { class: state, "aria-hidden": "true" }), h("span", { text: state }), this.counts[state]);
    });
    this.facts = ["in the table", "predicted", "bound", "memory", ...LONG].map((name) => [name, h("dd", { text: "–" })]);
    place.append(
      h("div", { class: "states", "aria-hidden": "true" }, ...Object.values(this.parts)),
      h("ul", { class: "counts" }, ...keys),
      h("dl", { class: "facts" }, ...this.facts.map(([name, value]) => h("div", { class: LONG.includes(name) ? "long" : null }, h("dt", { text: name }), value))),
    );
    this.ended = new Table({
      name: "Last ended jobs",
      key: (row) => row.job_id,
      pageSize: 12,
      empty: commandHint("No job has ended yet. Submit one:", submitCommand()),
      columns: [
        { label: "Job", draw: (cell, row) => drawJob(cell, row, onOpen), style: "name" },
        { label: "Ended", draw: textCell((row) => clock(row.ended_ms)), style: "number mid" },
        { label: "Pair", draw: textCell((row) => row.pair), style: "wide" },
        { label: "State", draw: drawState },
        { label: "Node", draw: textCell((row) => row.node_id || "–"), style: "wide" },
        { label: "Attempts", draw: drawAttempts, style: "number wide" },
        { label: "Wait", draw: textCell((row) => duration(row.waited_ms)), style: "number mid" },
        { label: "Service", draw: textCell((row) => (row.node_id ? duration(row.served_ms) : "–")), style: "number" },
      ],
    });
    this.isFailedOnly = false;
    this.empties = [this.ended.empty.firstChild, h("p", { text: "No job failed of those that are kept." })];
    this.all = this.#choice("All", false);
    this.failed = this.#choice("Failed", true);
    const choice = h("div", { class: "choice", role: "group", "aria-label": "Which jobs" }, this.all, this.failed);
    this.ended.tools.prepend(choice);
    endedPlace.previousElementSibling.append(this.ended.tools);
    this.#choose(false);
    endedPlace.append(this.ended.element);
  }

  /** Show a snapshot. */
  update({ jobs, point, resident_bytes, waiting, ended, failed }, limits) {
    const total = STATES.reduce((sum, state) => sum + jobs[state], 0);
    for (const state of STATES) {
      this.parts[state].style.flexGrow = jobs[state];
      setText(this.counts[state], whole(jobs[state]));
    }
    setText(this.sub, total ? `${plural(total, "job")} in the table, by state` : "");
    const cleanup = limits?.cleanup_interval_s
      ? `every ${duration(1000 * limits.cleanup_interval_s)}, kept ${duration(1000 * limits.retention_s)}`
      : "off: finished jobs stay for ever";
    const values = [whole(point.resident), whole(point.predicted), whole(point.bound), bytes(resident_bytes), cleanup];
    values.push(prioritiesText(waiting), largestText(waiting));
    values.forEach((text, i) => setText(this.facts[i][1], text));
    this.facts[0][1].classList.toggle("warn", point.bound > 0 && point.resident > point.bound);
    this.lists = [ended, failed];
    this.ended.update(this.lists[Number(this.isFailedOnly)]);
  }

  #choice(label, isFailedOnly) {
    return h("button", { type: "button", on: { click: () => this.#choose(isFailedOnly) } }, label);
  }

  #choose(isFailedOnly) {
    this.isFailedOnly = isFailedOnly;
    setAttribute(this.all, "aria-pressed", !isFailedOnly);
    setAttribute(this.failed, "aria-pressed", isFailedOnly);
    this.ended.empty.replaceChildren(this.empties[Number(isFailedOnly)]);
    this.ended.turn(this.lists[Number(isFailedOnly)]);
  }
}

function prioritiesText({ priorities }) {
  const counts = Object.entries(priorities).map(([priority, count]) => `${priority}: ${whole(count)}`);
  return counts.join(", ") || "none waits";
}

function largestText({ keys, largest_part }) {
  return keys ? `${Math.round(100 * largest_part)}\u202f% of what waits, of ${plural(keys, "key")}` : "none waits";
}

function drawJob(cell, row, onOpen) {
  if (!cell.firstChild) cell.append(h("button", { type: "button", class: "link", on: { click: () => onOpen(cell.jobId) } }));
  cell.jobId = row.job_id;
  setText(cell.firstChild, row.job_id);
}

function drawState(cell, row) {
  if (!cell.firstChild) cell.append(h("span", { class: "badge" }), h("span", { class: "reason" }));
  const [badge, reason] = cell.children;
  setText(badge, row.state);
  badge.className = `badge ${row.state}`;
  setText(reason, row.reason && row.reason !== row.state ? words(row.reason) : "");
}

function drawAttempts(cell, row) {
  setText(cell, whole(row.attempts));
  cell.classList.toggle("warn", row.attempts > 1);
}
