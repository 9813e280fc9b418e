// Asks for a token when the scheduler wants one.

import { h, setText } from "./dom.js";

export class TokenQuestion {
  /**
   * `role` is whose token is wanted (an admin, a client), `button` what the button says, `why` what stands there when
   * no token was shown; `onToken` gets what was typed.
   */
  constructor({ role, button, why }, onToken) {
    this.role = role;
    this.whyAsked = why;
    this.input = h("input", {
      id: "token",
      type: "password",
      autocomplete: "off",
      spellcheck: "false",
      required: true,
      maxlength: 512,
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
            if (!text) return;
            setText(this.why, "The scheduler is asked whether it counts …");
            onToken(text);
          },
        },
      },
      h("h2", { id: "token-title", text: "This scheduler wants a token" }),
      this.why,
      h("label", { for: "token", text: `Token of ${role}` }),
      this.input,
      h("p", { class: "sub", text: "It is kept in this tab only, and forgotten with it." }),
      h("div", { class: "actions" }, h("button", { type: "submit", class: "main" }, button)),
    );
    this.dialog = h("dialog", { class: "small", "aria-labelledby": "token-title" }, form);
    document.body.append(this.dialog);
  }

  /** Ask; `isOther`: the token that was shown is of another role. `hadToken`: one was shown. */
  ask(isOther, hadToken) {
    const make = `voxpool token NAME --role ${this.role.split(" ").pop()} makes one.`;
    const texts = hadToken ? "That token does not count here, or not any more." : `${this.whyAsked} ${make}`;
    setText(this.why, isOther ? `That token has another role; this needs one of ${this.role}. ${make}` : texts);
    if (!this.dialog.open) this.dialog.showModal();
    this.input.focus();
  }

  /** Stop asking. */
  close() {
    if (this.dialog.open) this.dialog.close();
  }
}
