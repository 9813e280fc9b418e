// What to do where nothing is yet: a sentence and a command to copy.

import { h, say } from "./dom.js";

/** Return the sentence `text`, `command`, and a button that copies it. */
export function commandHint(text, command) {
  const copy = h("button", { type: "button", class: "quiet" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      copy.textContent = "Copied";
      say("Copied");
    } catch {
      copy.textContent = "Select and copy it";
    }
  });
  const line = h("div", { class: "command" }, h("code", {}, ...pieces(command)), copy);
  return h("div", { class: "hint" }, h("p", { text }), line);
}

/** The parts of a command that stay together where its line is broken: an option and its value. */
function pieces(command) {
  return command.split(/ (?=--)/).flatMap((part, place) => [place ? " " : "", h("span", { text: part })]);
}

/** The command that connects a node to this scheduler. */
export const nodeCommand = () =>
  `voxpool node --url ${location.protocol === "https:" ? "wss" : "ws"}://${location.host} --id gpu-1 --pairs zh:en --slots 2`;

/** The command that submits a job to this scheduler. */
export const submitCommand = () => `voxpool submit --url ${location.origin} --pair zh:en --wait FILE.wav`;
