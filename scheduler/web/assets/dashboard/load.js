// A small bar with its numbers: the used slots, of all.

import { h, setText } from "../common/dom.js";
import { whole } from "../common/format.js";

/** Draw `used` of `slots` into `cell`; above `open` they are closed (of nodes that take no new jobs). */
export function drawLoad(cell, used, slots, open) {
  if (!cell.firstChild) {
    cell.append(h("div", { class: "meter" }, h("span"), h("div", { class: "gauge", "aria-hidden": "true" }, h("i"), h("b"))));
  }
  const [text, gauge] = cell.firstChild.children;
  setText(text, `${whole(used)} of ${whole(slots)}`);
  const share = (value) => `${slots ? Math.min(100, (100 * value) / slots) : 0}%`;
  gauge.children[0].style.width = share(used);
  gauge.children[1].style.width = share(Math.max(0, slots - Math.max(open, used)));
}
