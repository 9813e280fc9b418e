// An obstacle between the page and the scheduler, shown at the top of the page with its remedy.

import { byId, h, setText } from "./dom.js";

const ID = "obstacle";

/** Show `text` on top of `place`, and a button `label` that runs `act`; nothing flickers while `kind` is the same. */
export function showObstacle(place, kind, text, label, act) {
  const there = byId(ID);
  if (there?.dataset.kind === kind) {
    setText(there.firstChild, text);
    return;
  }
  there?.remove();
  const button = h("button", { type: "button", on: { click: act } }, label);
  place.prepend(h("div", { id: ID, class: "notice bad", "data-kind": kind }, h("p", { text }), button));
}

/** Nothing stands there any more. */
export function hideObstacle() {
  byId(ID)?.remove();
}
