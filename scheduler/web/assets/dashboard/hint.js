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
