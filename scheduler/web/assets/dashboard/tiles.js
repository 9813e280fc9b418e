// The figures at the top: one large number each, and what it is made of. Those that a chart shows too have its colour.

import { h, setText } from "../common/dom.js";
import { duration, fine, plural, short, whole } from "../common/format.js";

const MINUTE_S = 60;

export class Tiles {
  constructor(place) {
    this.done = tile("Completed", "/s", "second");
    this.waiting = tile("Waiting", "", "third");
    this.slots = tile("Slots in use");
    this.wait = tile("Wait, p99", "", "third");
    this.failed = tile("Failed", "/min", "bad");
    this.fill = h("i");
    this.slots.element.append(h("div", { class: "gauge", "aria-hidden": "true" }, this.fill));
    place.append(...[this.done, this.waiting, this.slots, this.wait, this.failed].map((one) => one.element));
  }

  /** Show a snapshot. */
  update({ at_ms, started_ms, minute, jobs, fleet, wait }) {
    const seconds = Math.max(1, Math.min(MINUTE_S, (at_ms - started_ms) / 1000));
    this.done.show(fine(minute.completed / seconds), `submitted ${fine(minute.submitted / seconds)}/s, last minute`);
    const [first] = fleet.pools.filter((pool) => pool[7] > 0);
    this.waiting.show(short(jobs.waiting), first ? `most for ${first[0]}: ${whole(first[7])}` : "no job waits for a node");
    const { used, free, closed } = fleet.slots;
    const share = used + free ? used / (used + free) : 0;
    this.slots.show(`${Math.round(100 * share)}\u202f%`, slotsText(used, free, closed));
    this.fill.style.width = `${100 * share}%`;
    const [p50, , p99] = wait.quantiles ?? [];
    this.wait.show(wait.quantiles ? duration(p99) : "–", wait.quantiles ? `p50 ${duration(p50)}, last minute` : "no job in the last minute");
    const ended = minute.completed + minute.failed + minute.cancelled;
    const failedShare = ended ? `${fine((100 * minute.failed) / ended)}\u202f% of ${whole(ended)}` : "no job ended";
    const again = minute.redispatched ? `, ${plural(minute.redispatched, "second try", "second tries")}` : "";
    this.failed.show(whole(minute.failed), failedShare + again);
    this.failed.element.classList.toggle("bad", minute.failed > 0);
  }
}

function slotsText(used, free, closed) {
  if (used + free + closed === 0) return "no node is connected";
  return `${whole(used)} of ${whole(used + free)}${closed ? `, ${whole(closed)} closed` : ""}`;
}

function tile(label, unit = "", style = "") {
  const value = h("span", { text: "–" });
  const detail = h("p", { class: "sub", text: "\u00a0" });
  const element = h(
    "div",
    { class: "card tile" },
    h("h2", { class: style || null }, style && h("i", { "aria-hidden": "true" }), label),
    h("p", { class: "figure" }, value, unit && h("small", { text: unit })),
    detail,
  );
  return {
    element,
    show(text, more) {
      setText(value, text);
      setText(detail, more);
    },
  };
}
