// Asks for a token when the scheduler wants one.

import { h, setText } from "./dom.js";

export class TokenQuestion {
  /** `onToken` gets what was typed. */
  constructor(onToken) {
    this.input = h("input", {
      id: "token",
      type: "password",
      autocomplete: "off",
      spellcheck: "false",
      required: true,
      "aria-describedby": "token-why",
    });
    this.why = h("p", { id: "token-why", class: "sub" });
    const form = h(
      "form",
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            const text = this.input.value.trim();
            this.input.value = "";
            if (text) onToken(text);
          },
        },
      },
      h("h2", { id: "token-title", text: "This scheduler wants a token" }),
      this.why,
      h("label", { for: "token", text: "Token of an admin" }),
      this.input,
      h("p", { class: "sub", text: "It is kept in this tab only, and forgotten with it." }),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "main" }, "Open the dashboard")),
    );
    this.dialog = h("dialog", { class: "small", "aria-labelledby": "token-title" }, form);
    document.body.append(this.dialog);
  }

  /** Ask; `status` 401 is no token that counts, 403 one of another role. `hadToken`: one was shown. */
  ask(status, hadToken) {
    const make = "voxpool token NAME --role admin makes one.";
    const texts = hadToken ? "That token does not count here, or not any more." : `The dashboard shows everything, so it is for admins: ${make}`;
    setText(this.why, status === 403 ? `That token has another role; the dashboard needs an admin's: ${make}` : texts);
    if (!this.dialog.open) this.dialog.showModal();
    this.input.focus();
  }

  /** Stop asking. */
  close() {
    if (this.dialog.open) this.dialog.close();
  }
}
