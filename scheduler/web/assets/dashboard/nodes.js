// The nodes: what each does, when it was last heard of, and the button that lets it run dry.

import { post } from "../common/api.js";
import { h, say, setAttribute, setText } from "../common/dom.js";
import { duration, plural, whole } from "../common/format.js";
import { commandHint, nodeCommand } from "../common/hint.js";
import { drawLoad } from "./load.js";
import { Table, textCell } from "./table.js";

const ORDER = ["resting", "joining", "draining", "ready"];

export class NodesPanel {
  constructor(place, sub) {
    this.sub = sub;
    this.leaseMs = Infinity;
    this.heartbeatMs = Infinity;
    this.question = new DrainQuestion();
    this.table = new Table({
      name: "Nodes",
      key: (row) => row.id,
      text: (row) => `${row.id} ${row.state} ${row.pairs}`,
      pageSize: 20,
      sorted: [1, false],
      empty: commandHint("No nodes yet. Connect one:", nodeCommand()),
      columns: [
        { label: "Node", sort: (row) => row.id, draw: textCell((row) => row.id), style: "name" },
        { label: "State", sort: (row) => ORDER.indexOf(row.state), draw: drawState },
        { label: "Slots in use", sort: (row) => row.used / row.slots, falls: true, draw: drawSlots, style: "load" },
        { label: "Pairs", draw: textCell((row) => row.pairs), style: "pairs wide" },
        { label: "Errors in a row", sort: (row) => row.failures, falls: true, draw: drawFailures, style: "number wide" },
        { label: "Last heard", sort: (row) => row.silentMs, falls: true, draw: (cell, row) => this.#drawSilence(cell, row), style: "number mid" },
        { label: "Actions", draw: (cell, row) => this.#drawAction(cell, row), style: "action" },
      ],
    });
    place.previousElementSibling.append(this.table.tools);
    place.append(this.table.element);
  }

  /** Show a snapshot. */
  update({ fleet }, limits) {
    this.leaseMs = limits?.lease_ms ?? Infinity;
    this.heartbeatMs = limits?.heartbeat_ms ?? Infinity;
    const lists = fleet.pair_lists.map(([first, count]) => {
      return first.join(", ") + (count > first.length ? ` and ${whole(count - first.length)} more` : "");
    });
    const rows = fleet.nodes.map(([id, state, used, slots, silentMs, failures, list]) => {
      return { id, state, used, slots, silentMs, failures, pairs: lists[list] };
    });
    this.table.update(rows);
    setText(this.sub, this.#summary(fleet, rows.length));
  }

  #summary(fleet, shown) {
    if (!fleet.nodes_total) return "";
    const states = ORDER.toReversed().filter((state) => fleet.states[state]);
    const parts = states.map((state) => `${whole(fleet.states[state])} ${state}`);
    const more = fleet.nodes_total > shown ? `; the ${whole(shown)} that need attention first are shown` : "";
    return `${plural(fleet.nodes_total, "node")}: ${parts.join(", ")}${more}`;
  }

  #drawSilence(cell, row) {
    setText(cell, row.silentMs < 1000 ? "now" : `${duration(1000 * Math.floor(row.silentMs / 1000))} ago`);
    cell.classList.toggle("warn", row.silentMs > 1.5 * this.heartbeatMs);
    setAttribute(cell, "title", row.silentMs > 1.5 * this.heartbeatMs ? `counts as dead after ${duration(this.leaseMs)}` : null);
  }

  #drawAction(cell, row) {
    if (!cell.firstChild) {
      const act = () => this.question.act(cell.row);
      cell.append(h("button", { type: "button", class: "quiet", on: { click: act } }));
    }
    cell.row = row;
    const isDraining = row.state === "draining";
    setText(cell.firstChild, isDraining ? "Resume" : "Drain");
    setAttribute(cell.firstChild, "aria-label", `${isDraining ? "Resume" : "Drain"} ${row.id}`);
  }
}

class DrainQuestion {
  constructor() {
    this.row = null;
    this.title = h("h2", { id: "drain-title" });
    this.text = h("p", { id: "drain-text" });
    this.failure = h("p", { class: "failure", role: "alert" });
    this.yes = h("button", { type: "button", class: "main", on: { click: () => this.#drain() } });
    const no = h("button", { type: "button", class: "quiet", on: { click: () => this.dialog.close() } }, "Cancel");
    const actions = h("div", { class: "actions" }, no, this.yes);
    const about = { class: "small", "aria-labelledby": "drain-title", "aria-describedby": "drain-text" };
    this.dialog = h("dialog", about, this.title, this.text, this.failure, actions);
    document.body.append(this.dialog);
  }

  /** Ask whether the node of `row` is to be drained; one that drains already takes jobs again. */
  act(row) {
    this.row = row;
    const isDraining = row.state === "draining";
    setText(this.title, `${isDraining ? "Resume" : "Drain"} ${row.id}?`);
    const has = row.used ? `the ${plural(row.used, "job")} that it has go${row.used === 1 ? "es" : ""} on` : "it has none now";
    setText(this.text, isDraining ? "It gets new jobs again." : `It gets no new jobs; ${has}. You can undo this at any time.`);
    setText(this.yes, isDraining ? "Resume" : "Drain");
    setText(this.failure, "");
    this.dialog.showModal();
    this.yes.focus();
  }

  async #drain() {
    const { id, state } = this.row;
    const on = state !== "draining";
    this.yes.disabled = true;
    try {
      await post(`v1/nodes/${encodeURIComponent(id)}/drain?on=${on}`);
      this.dialog.close();
      say(on ? `${id} is draining` : `${id} takes jobs again`);
    } catch (error) {
      setText(this.failure, `That did not work: ${error.message}`);
    } finally {
      this.yes.disabled = false;
    }
  }
}

function drawState(cell, row) {
  if (!cell.firstChild) cell.append(h("span", { class: "badge" }));
  setText(cell.firstChild, row.state);
  cell.firstChild.className = `badge ${row.state}`;
}

function drawSlots(cell, row) {
  drawLoad(cell, row.used, row.slots, row.state === "ready" ? row.slots : row.used);
}

function drawFailures(cell, row) {
  setText(cell, row.failures ? whole(row.failures) : "–");
  cell.classList.toggle("warn", row.failures > 0);
}
