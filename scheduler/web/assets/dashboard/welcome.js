// Shown for a new scheduler: the two commands that start a node and submit a job.

import { h } from "../common/dom.js";
import { commandHint, nodeCommand, submitCommand } from "../common/hint.js";

/** Show in `place` how to begin, as long as a snapshot has neither nodes nor jobs. */
export function showWelcome(place, { fleet, jobs }) {
  const isNew = fleet.nodes_total === 0 && Object.values(jobs).every((count) => count === 0);
  place.hidden = !isNew;
  if (!isNew || place.firstChild) return;
  place.append(
    h("h2", { text: "This scheduler is up, and has nothing to do yet" }),
    h(
      "ol",
      {},
      h("li", {}, commandHint("Connect a node:", nodeCommand())),
      h("li", {}, commandHint("Then submit a job:", submitCommand())),
    ),
  );
}
