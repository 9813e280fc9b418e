// The pools: for each language pair its nodes, the room in them, and who waits.

import { h, setText } from "../common/dom.js";
import { plural, whole } from "../common/format.js";
import { drawLoad } from "./load.js";
import { Table, textCell } from "./table.js";

export class PoolsPanel {
  constructor(place, sub) {
    this.sub = sub;
    this.table = new Table({
      name: "Pools",
      key: (row) => row.pair,
      text: (row) => row.pair,
      pageSize: 12,
      sorted: [4, true],
      empty: h("p", { text: "No pools yet: a pool is there as soon as a node serves its pair, or a job waits for it." }),
      columns: [
        { label: "Pair", sort: (row) => row.pair, draw: textCell((row) => row.pair), style: "name" },
        {
          label: "Nodes",
          sort: (row) => row.ready,
          falls: true,
          draw: textCell((row) => (row.ready === row.nodes ? whole(row.nodes) : `${whole(row.ready)} of ${whole(row.nodes)}`)),
          style: "number",
        },
        { label: "Slots in use", sort: (row) => row.used / Math.max(1, row.slots), falls: true, draw: drawSlots, style: "load" },
        { label: "Dispatched", sort: (row) => row.running, falls: true, draw: textCell((row) => whole(row.running)), style: "number mid" },
        { label: "Waiting", sort: (row) => row.waiting, falls: true, draw: drawWaiting, style: "number" },
      ],
    });
    place.previousElementSibling.append(this.table.tools);
    place.append(this.table.element);
  }

  /** Show a snapshot. */
  update({ fleet }) {
    const rows = fleet.pools.map(([pair, nodes, ready, slots, used, free, running, waiting]) => {
      return { pair, nodes, ready, slots, used, free, running, waiting };
    });
    this.table.update(rows);
    const more = fleet.pools_total > rows.length ? `, ${whole(rows.length)} shown` : "";
    setText(this.sub, fleet.pools_total ? plural(fleet.pools_total, "language pair") + more : "");
  }
}

function drawSlots(cell, row) {
  drawLoad(cell, row.used, row.slots, row.used + row.free);
}

function drawWaiting(cell, row) {
  setText(cell, whole(row.waiting));
  cell.classList.toggle("warn", row.waiting > 0 && row.free === 0);
}
