// One job: its life as a bar and as a list of what was decided, and how its pool is now. It has an address of its own
// (#job=ID), so that it can be shared.

import { Refused, get } from "../common/api.js";
import { h, setText } from "../common/dom.js";
import { duration, moment, plural, whole, words } from "../common/format.js";
import { phases, steps } from "./story.js";

const AGAIN_MS = 1000;
const OUTPUT_CHARS_MAX = 4000;

export class JobLife {
  constructor() {
    this.id = "";
    this.timer = 0;
    this.title = h("h2", { id: "job-title" });
    this.content = h("div", { class: "life" });
    const close = h("button", { type: "button", class: "quiet icon", "aria-label": "Close", on: { click: () => this.dialog.close() } }, "✕");
    this.dialog = h(
      "dialog",
      { class: "side", "aria-labelledby": "job-title", on: { close: () => this.#closed() } },
      h("header", {}, this.title, close),
      this.content,
    );
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    document.body.append(this.dialog);
    addEventListener("hashchange", () => this.followAddress());
  }

  /** Show the job with that id. */
  open(id) {
    const address = `#job=${encodeURIComponent(id)}`;
    if (location.hash === address) this.#show(id);
    else location.hash = address;
  }

  /** Show the job that the address names, if it names one. */
  followAddress() {
    const match = /^#job=(.+)$/.exec(location.hash);
    let id = "";
    try {
      id = match ? decodeURIComponent(match[1]) : "";
    } catch {
      // not an address of ours
    }
    if (id) this.#show(id);
    else if (this.dialog.open) this.dialog.close();
  }

  #show(id) {
    this.id = id;
    setText(this.title, `Job ${id}`);
    this.content.replaceChildren(h("p", { class: "sub", text: "Looking for it…" }));
    if (!this.dialog.open) this.dialog.showModal();
    this.#load(id);
  }

  #closed() {
    this.id = "";
    clearTimeout(this.timer);
    if (location.hash.startsWith("#job=")) history.replaceState(null, "", location.pathname + location.search);
  }

  async #load(id) {
    clearTimeout(this.timer);
    const path = `v1/jobs/${encodeURIComponent(id)}`;
    try {
      const [job, why] = await Promise.all([get(path), get(`${path}/why`)]);
      if (this.id !== id) return;
      this.content.replaceChildren(...life(job, why));
      if (!job.times_ms) this.timer = setTimeout(() => this.#load(id), AGAIN_MS);
    } catch (error) {
      if (this.id !== id) return;
      const isRefused = error instanceof Refused;
      this.content.replaceChildren(
        h("p", { class: "failure", role: "alert", text: isRefused ? `${error.message}.` : "The scheduler does not answer." }),
      );
      if (!isRefused) this.timer = setTimeout(() => this.#load(id), AGAIN_MS);
    }
  }
}

function life(job, why) {
  const story = phases(job, why, Date.now());
  return [
    summary(job),
    bar(story),
    h("h3", { text: "What happened" }),
    h("ol", { class: "steps" }, ...steps(job, why).map(step)),
    whyNot(why),
    h("h3", { text: `Nodes for ${job.pair} now` }),
    h("p", { text: poolText(why.pool) }),
    why.waiting && h("p", { text: placeText(why.waiting) }),
    ...output(job),
  ].filter(Boolean);
}

function summary(job) {
  const took = job.times_ms ? `${duration(job.times_ms.total)} in all` : "goes on";
  const facts = [
    ["pair", job.pair],
    ["submitted", moment(job.submitted_ms)],
    ["node", job.node_id || "–"],
    ["attempts", whole(job.attempts)],
    ["request", job.request_id, "long"],
    ["session", job.session_id || "–", "long"],
  ];
  const isTold = job.error && job.error !== job.state;
  return h(
    "div",
    {},
    h(
      "p",
      { class: "lead" },
      h("span", { class: `badge ${job.state}`, text: job.state }),
      isTold && h("span", { class: "reason", text: words(job.error) }),
      h("span", { class: "sub", text: took }),
    ),
    job.detail && h("p", { class: "sub", text: job.detail }),
    h("dl", { class: "facts" }, ...facts.map(([name, value, style]) => h("div", { class: style }, h("dt", { text: name }), h("dd", { text: value })))),
  );
}

function bar(story) {
  const total = story.reduce((sum, phase) => sum + phase.ms, 0) || 1;
  const pieces = story.map((phase) => {
    const piece = h("i", { class: phase.style });
    piece.style.flexGrow = Math.max(phase.ms, total / 100);
    return piece;
  });
  const keys = story.map((phase) =>
    h("li", {}, h("i", { class: phase.style, "aria-hidden": "true" }), h("span", { text: phase.label }), h("b", { text: duration(phase.ms) })),
  );
  return h("div", { class: "bar-of-life" }, h("div", { class: "states", "aria-hidden": "true" }, ...pieces), h("ul", { class: "counts" }, ...keys));
}

function step({ afterMs, text, detail, style }) {
  return h(
    "li",
    { class: style },
    h("span", { class: "after", text: afterMs === null ? "" : `+${duration(afterMs)}` }),
    h("span", {}, h("b", { text }), detail && h("small", { text: detail })),
  );
}

function whyNot(why) {
  if (why.followed) return null;
  return h("p", {
    class: "sub",
    text:
      "Which nodes were looked at was not kept for this job. It is for jobs submitted with why (voxpool submit --why, " +
      "POST /v1/jobs?why=1), and for every n-th with the setting why_every.",
  });
}

function poolText(pool) {
  if (!pool.nodes) return "No node serves this pair.";
  const kinds = [["with_room", "with room"], ["full", "full"], ["draining", "draining"], ["resting", "resting"], ["joining", "joining"]];
  const parts = kinds.filter(([key]) => pool[key]).map(([key, text]) => `${whole(pool[key])} ${text}`);
  return `${plural(pool.nodes, "node")}: ${parts.join(", ")}.`;
}

function placeText({ priority, higher_waiting, keys_ahead, key_waiting }) {
  const before = `${plural(higher_waiting, "job")} of higher priorities, and the turns of ${plural(keys_ahead, "other key")}`;
  return `It waits with priority ${priority}. Before the next job of its key: ${before}. ${plural(key_waiting, "job")} of its key wait here.`;
}

function output(job) {
  if (job.output === undefined || job.output === null) return [];
  const text = typeof job.output === "string" ? job.output : JSON.stringify(job.output, null, 2);
  const shown = text.length > OUTPUT_CHARS_MAX ? `${text.slice(0, OUTPUT_CHARS_MAX)}…` : text;
  return [h("h3", { text: "Result" }), h("pre", { tabindex: "0", role: "region", "aria-label": "Result", text: shown })];
}
