// The language pair: chosen from what the nodes serve now, or typed where that can't be seen.

import { Refused, get } from "../common/api.js";
import { byId, h, setText } from "../common/dom.js";
import { plural } from "../common/format.js";
import { commandHint, nodeCommand } from "../common/hint.js";

const AGAIN_MS = 5000;
const PAIR = /^[a-z0-9-]{1,16}:[a-z0-9-]{1,16}$/;
const OTHER = "";

export class PairPanel {
  constructor() {
    this.select = byId("pair");
    this.input = byId("pair-text");
    this.timer = 0;
    this.served = null; // pair -> its nodes; null: that can't be seen
    this.select.addEventListener("change", () => this.#chosen(true));
    this.input.addEventListener("input", () => this.complain(""));
    this.#show();
  }

  /** Return the pair, or null after saying what is wrong with it. */
  value() {
    const pair = (this.input.hidden ? this.select.value : this.input.value).trim().toLowerCase();
    if (PAIR.test(pair)) return pair;
    this.complain(pair ? "That is no language pair: it is source:target, such as zh:en." : "Which language pair?");
    (this.input.hidden ? this.select : this.input).focus();
    return null;
  }

  /** Say what is wrong with the pair, or nothing. */
  complain(text) {
    setText(byId("pair-failure"), text);
  }

  /** Ask what is served, now and again and again. */
  follow() {
    clearTimeout(this.timer);
    if (document.visibilityState === "visible") this.#ask();
    this.timer = setTimeout(() => this.follow(), AGAIN_MS);
  }

  /** Ask no more: there is no connection, or no token. */
  rest() {
    clearTimeout(this.timer);
  }

  async #ask() {
    try {
      const { pools } = await get("v1/pools");
      this.served = new Map(pools.filter((pool) => pool.nodes).map((pool) => [pool.pair, pool.nodes]));
    } catch (error) {
      if (!(error instanceof Refused)) return; // nobody answers: what was seen last may still be right
      this.served = null;
      if (error.status === 401 || error.status === 403) this.rest(); // a client's token does not show it
    }
    this.#show();
  }

  #show() {
    const pairs = this.served ? [...this.served.keys()].sort() : [];
    this.#offer(pairs);
    this.select.hidden = pairs.length === 0;
    byId("pair-label").htmlFor = pairs.length ? "pair" : "pair-text";
    this.#chosen(false);
    const isBare = this.served !== null && pairs.length === 0;
    byId("pair-hint").hidden = !isBare;
    if (isBare && !byId("pair-hint").firstChild) {
      byId("pair-hint").append(commandHint("No node is connected yet. Connect one:", nodeCommand()));
    }
  }

  /** Make `pairs` the choices; what was chosen or typed stays. */
  #offer(pairs) {
    const key = pairs.join(" ");
    if (this.select.dataset.pairs === key) return;
    this.select.dataset.pairs = key;
    const before = this.select.value;
    const isTyped = !this.input.hidden && this.input.value !== "";
    const options = pairs.map((pair) => h("option", { value: pair, text: pair }));
    this.select.replaceChildren(...options, h("option", { value: OTHER, text: "another one …" }));
    if (isTyped) this.select.value = OTHER;
    else if (pairs.includes(before)) this.select.value = before;
  }

  #chosen(byPerson) {
    const isTyped = this.select.hidden || this.select.value === OTHER;
    this.input.hidden = !isTyped;
    const nodes = this.served?.get(this.select.value);
    const isSeen = this.served?.size > 0;
    const typed = isSeen ? "A job of a pair that nobody serves waits for a node." : "source:target, such as zh:en";
    setText(byId("pair-sub"), isTyped ? typed : `served by ${plural(nodes, "node")} now`);
    if (!byPerson) return;
    this.complain("");
    if (isTyped) this.input.focus();
  }
}
