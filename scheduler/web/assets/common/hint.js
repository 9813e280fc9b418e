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
  return h("div", { class: "hint" }, h("p", { text }), h("div", { class: "command" }, h("code", { text: command }), copy));
}

/** The command that connects a node to this scheduler. */
export const nodeCommand = () =>
  `voxpool node --url ${location.protocol === "https:" ? "wss" : "ws"}://${location.host} --id gpu-1 --pairs zh:en --slots 2`;

/** The command that submits a job to this scheduler. */
export const submitCommand = () => `voxpool submit --url ${location.origin} --pair zh:en --wait FILE.wav`;
