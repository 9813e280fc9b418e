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

  /** Ask; `status` 401 is no token that counts, 403 one of another role. */
  ask(status, detail) {
    const text = status === 403 ? `${capital(detail)}. The dashboard needs the role admin.` : `${capital(detail)}.`;
    setText(this.why, text);
    if (!this.dialog.open) this.dialog.showModal();
    this.input.focus();
  }

  /** Stop asking. */
  close() {
    if (this.dialog.open) this.dialog.close();
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
