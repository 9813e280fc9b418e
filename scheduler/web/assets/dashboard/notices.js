// The notices that need attention: a short list, mostly empty.

import { h } from "../common/dom.js";
import { plural, whole } from "../common/format.js";

const NAMED_MAX = 3;

/** Show in `place` what is wrong in a snapshot. Nothing changes there as long as it says the same. */
export function showNotices(place, snapshot, limits) {
  const found = notices(snapshot, limits);
  const text = JSON.stringify(found);
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  place.replaceChildren(...found.map(([kind, line]) => h("p", { class: `notice ${kind}`, text: line })));
}

function notices({ stopping, store_up, store_error, fleet, point, jobs }, limits) {
  const found = [];
  if (stopping) {
    const left = plural(jobs.waiting + jobs.dispatched, "unfinished job");
    found.push(["warn", `This scheduler is stopping: it takes no new jobs, and waits for ${left}`]);
  }
  if (!store_up) found.push(["bad", `The store does not answer, so no job is given to a node: ${store_error}`]);
  const orphans = fleet.pools.filter((pool) => pool[7] > 0 && pool[2] === 0).map((pool) => pool[0]);
  if (orphans.length) {
    const more = orphans.length > NAMED_MAX ? ` and ${whole(orphans.length - NAMED_MAX)} more` : "";
    found.push(["bad", `Jobs wait and no node is ready for ${orphans.slice(0, NAMED_MAX).join(", ")}${more}`]);
  }
  if (fleet.states.resting) {
    found.push(["warn", `${plural(fleet.states.resting, "node")} rest${fleet.states.resting === 1 ? "s" : ""}: busy, or failing job after job`]);
  }
  if (point.bound > 0 && point.resident > point.bound) {
    found.push(["bad", "More jobs are in the table than the clean-up should leave: it does not keep up, or is off"]);
  }
  if (limits && jobs.waiting + jobs.dispatched > 0.9 * limits.jobs_max) {
    found.push(["warn", `Soon submits are refused: ${whole(limits.jobs_max)} unfinished jobs are the most (jobs_max)`]);
  }
  return found;
}
