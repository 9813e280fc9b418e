// One submit as a card: where it is, what came of it, how long that took, or why it failed.

import { get } from "../common/api.js";
import { h, setText } from "../common/dom.js";
import { bytes as size, duration, fine, plural, words } from "../common/format.js";
import { whyFailed, whyRefused } from "./advice.js";

const OUTPUT_CHARS_MAX = 4000;
const FACTS_MAX = 12;
const UNITS = { s: "s", ms: "ms", hz: "Hz", dbfs: "dBFS", bytes: "B" };

export class Answer {
  /** `request` is on its way with the sound `name`; `onAgain` is called when it is to be sent once more. */
  constructor(name, onCancel, onAgain) {
    this.name = name;
    this.request = null;
    this.view = null; // what the scheduler says of the job, while it is one
    this.end = null; // {state, ...} or {refusal}
    this.startedMs = performance.now();
    this.badge = h("span", { class: "badge" });
    this.what = h("p", { class: "what" });
    this.more = h("div", { class: "more" });
    this.title = h("h3", {}, h("span", { class: "name", text: name }), " ");
    this.pair = h("span", { class: "sub" });
    this.title.append(this.pair);
    this.cancel = h("button", { type: "button", class: "quiet", on: { click: () => onCancel(this) } }, "Cancel");
    const again = { type: "button", class: "quiet", hidden: true, on: { click: () => onAgain(this) } };
    this.again = h("button", again, "Send again");
    const buttons = h("div", { class: "others" }, this.cancel, this.again);
    const head = h("div", { class: "answer-head" }, this.title, this.badge, buttons);
    this.element = h("li", { class: "answer" }, head, this.what, this.more);
  }

  /** Show what is known now. */
  show() {
    const { badge, text } = this.end ? ended(this.end) : underWay(this.request, this.view);
    setText(this.pair, this.request.pair);
    setText(this.badge, words(badge));
    this.badge.className = `badge ${badge}`;
    const isLate = !this.end && performance.now() - this.startedMs > 2000;
    setText(this.what, isLate ? `${text} (${duration(performance.now() - this.startedMs)})` : text);
    this.what.classList.toggle("failure", badge === "failed" || badge === "refused");
    this.what.hidden = text === "";
    this.cancel.hidden = this.end !== null;
    this.cancel.disabled = this.request.phase === "cancelling";
    this.again.hidden = this.end === null || this.end.state === "completed";
  }

  /** The request went on. */
  changed() {
    if (this.request && !this.end) this.show();
  }

  /** Ask the scheduler where the job is; without an answer the last one stays. */
  async look() {
    if (this.request.phase !== "accepted") return;
    try {
      this.view = await get(`v1/jobs/${encodeURIComponent(this.request.jobId)}`);
    } catch {
      this.view = null;
    }
    this.changed();
  }

  /** It has ended: `end` is its result, or {refusal} when it was not taken. */
  finish(end) {
    this.end = end;
    const seenMs = performance.now() - this.startedMs;
    const parts = end.refusal ? [] : [...output(end.output), times(end, seenMs), ids(end, this.request)];
    this.more.replaceChildren(...parts.filter(Boolean));
    this.show();
  }
}

function underWay(request, view) {
  const againS = Math.max(0, Math.ceil((request.retryAtMs - Date.now()) / 1000));
  switch (request.phase) {
    case "paused":
      return { badge: "refused", text: `${whyRefused(request.refusal)} It is sent again in ${againS} s.` };
    case "sent":
      return { badge: "sending", text: `On its way: ${size(request.audio.length)}.` };
    case "accepted":
      return taken(view);
    case "cancelling":
      return { badge: "cancelling", text: "Being cancelled." };
    default: {
      const why = request.refusal ? `${whyRefused(request.refusal)} ` : "";
      return { badge: "queued", text: `${why}It is sent as soon as there is a connection.` };
    }
  }
}

function taken(view) {
  if (view?.state !== "dispatched") return { badge: "waiting", text: "The scheduler has it; it waits for a node." };
  const again = view.attempts > 1 ? `, attempt ${view.attempts}` : "";
  return { badge: "dispatched", text: `With ${view.node_id}${again}.` };
}

function ended({ state, error, detail, refusal }) {
  if (refusal) return { badge: "refused", text: `Not taken. ${whyRefused(refusal)}` };
  if (state === "failed") return { badge: state, text: whyFailed(error, detail) };
  return { badge: state, text: "" };
}

/** The output: a text as it is read, small records as names and values, and all of it as JSON. */
function output(value) {
  if (value === undefined || value === null) return [];
  const text = typeof value === "string" ? value : typeof value.text === "string" ? value.text : null;
  const isRecord = typeof value === "object" && !Array.isArray(value);
  const pairs = isRecord ? Object.entries(value).filter(([name]) => name !== "text" || text === null) : [];
  const isPlain = pairs.length > 0 && pairs.length <= FACTS_MAX && pairs.every(([, one]) => Object(one) !== one);
  const json = JSON.stringify(value, null, 2);
  return [
    text !== null && h("blockquote", { class: "output-text", text: shortened(text) || "(no words)" }),
    isPlain && facts(pairs.map(([name, one]) => named(name, one))),
    typeof value !== "string" &&
      h(
        "details",
        { open: text === null && !isPlain },
        h("summary", { text: "As JSON" }),
        h("pre", { tabindex: "0", role: "region", "aria-label": "Result", text: shortened(json) }),
      ),
  ];
}

/** duration_s: 2.14 -> duration: 2.14 s */
function named(name, value) {
  if (typeof value !== "number") return [words(name), String(value ?? "–")];
  const [, stem, unit] = /^(.+)_([a-z]+)$/.exec(name) ?? [];
  return unit in UNITS ? [words(stem), `${fine(value)} ${UNITS[unit]}`] : [words(name), fine(value)];
}

function facts(pairs) {
  const parts = pairs.map(([name, value]) => [h("dt", { text: name }), h("dd", { text: shortened(value) })]);
  return h("dl", { class: "facts" }, ...parts.map((part) => h("div", {}, ...part)));
}

/** Where the time went, as a bar: waiting, with the node, and the rest, which is the way there and back. */
function times({ times_ms: spent }, seenMs) {
  if (!spent) return null;
  const phases = [
    ["waiting", "waiting", spent.waiting],
    ["dispatched", "with the node", spent.dispatched],
    ["way", "on the way", Math.max(0, seenMs - spent.total)],
  ];
  const pieces = phases.map(([style, , ms]) => {
    const piece = h("i", { class: style, hidden: ms === 0 });
    piece.style.flexGrow = ms;
    return piece;
  });
  const keys = phases.map(([style, label, ms]) => {
    const sign = h("i", { class: style, "aria-hidden": "true" });
    return h("li", {}, sign, h("span", { text: label }), h("b", { text: duration(ms) }));
  });
  return h(
    "div",
    { class: "times" },
    h("div", { class: "states", "aria-hidden": "true" }, ...pieces),
    h("ul", { class: "counts" }, ...keys),
  );
}

function ids({ job_id: jobId, attempts }, { requestId }) {
  const life = jobId && h("a", { href: `./#job=${encodeURIComponent(jobId)}` }, jobId);
  return h(
    "p",
    { class: "sub ids" },
    life && h("span", {}, "Job ", life),
    attempts > 1 && h("span", { text: plural(attempts, "attempt") }),
    h("span", { text: `request ${requestId}` }),
  );
}

const shortened = (text) => (text.length > OUTPUT_CHARS_MAX ? `${text.slice(0, OUTPUT_CHARS_MAX)}…` : text);
