// The entry of /try: what is asked, the session that carries it, and what came of it.

import { currentToken, hasToken, setToken } from "../common/api.js";
import { byId, say, setText } from "../common/dom.js";
import { bytes as size, plural } from "../common/format.js";
import { hideObstacle, showObstacle } from "../common/obstacle.js";
import { startTheme } from "../common/theme.js";
import { TokenQuestion } from "../common/token.js";
import { Answer } from "./answer.js";
import { PairPanel } from "./pairs.js";
import { Rejected, SessionClient } from "./protocol.js";
import { SoundPanel } from "./sound.js";

const ANSWERS_MAX = 20;
const LOOK_MS = 500;

const url = new URL("ws/session", document.baseURI);
url.protocol = url.protocol.replace("http", "ws");
const answers = []; // newest first
let state = { kind: "connecting" };
let countdown = 0;
const pairs = new PairPanel();
const client = new SessionClient({ url: url.href, token: currentToken(), onState });
const sound = new SoundPanel(() => client.limits);
const token = new TokenQuestion(
  { role: "a client", button: "Go on", why: "Jobs are taken from who has a token:" },
  (text) => useToken(text),
);

function useToken(text) {
  setToken(text);
  client.setToken(text);
}

function onState(now) {
  state = now;
  clearInterval(countdown);
  document.documentElement.dataset.stream = now.kind === "open" ? "live" : now.kind;
  byId("forget").hidden = !hasToken();
  if (now.kind === "open") {
    token.close();
    pairs.follow();
  } else {
    pairs.rest();
  }
  if (now.kind === "denied") askForToken();
  if (now.kind === "lost") countdown = setInterval(showState, 1000);
  showState();
}

function askForToken() {
  token.ask(state.reason === "forbidden", hasToken());
}

function showState() {
  const { kind, detail, retryAtMs } = state;
  const texts = {
    connecting: client.connects ? "Reconnecting" : "Connecting",
    open: "Connected",
    lost: "Reconnecting",
    denied: "Token needed",
    refused: "Refused",
  };
  setText(byId("state-text"), texts[kind]);
  const place = byId("main");
  if (kind === "open") {
    hideObstacle();
  } else if (kind === "lost") {
    const leftS = Math.max(0, Math.ceil((retryAtMs - Date.now()) / 1000));
    const text = `No connection: ${detail}. Next try ${leftS ? `in ${leftS} s` : "now"}.`;
    showObstacle(place, kind, text, "Try now", () => client.start());
  } else if (kind === "denied") {
    showObstacle(place, kind, "This scheduler takes jobs from who has a token.", "Enter a token", askForToken);
  } else if (kind === "refused") {
    showObstacle(place, kind, `The scheduler does not take this page: ${detail}.`, "Try again", () => client.start());
  }
}

function send(name, bytes, pair) {
  const answer = new Answer(name, ({ request }) => client.cancel(request), () => send(name, bytes, pair));
  answer.request = client.submit(bytes, pair, { why: true, onChange: () => answer.changed() });
  answer.show();
  answers.unshift(answer);
  byId("answers").prepend(answer.element);
  follow(answer);
  forgetOld();
  answer.element.scrollIntoView({ block: "nearest" });
}

async function follow(answer) {
  try {
    answer.finish(await answer.request.result);
    say(`${answer.name}: ${answer.end.state}`);
  } catch (refusal) {
    if (!(refusal instanceof Rejected)) throw refusal;
    answer.finish({ refusal });
    say(`${answer.name}: not taken`);
  }
  forgetOld();
}

/** Keep the newest answers, and all that are still on their way. */
function forgetOld() {
  for (let place = answers.length - 1; place >= ANSWERS_MAX; place -= 1) {
    if (answers[place].end) answers.splice(place, 1)[0].element.remove();
  }
  const open = answers.filter((answer) => !answer.end).length;
  byId("answers-empty").hidden = answers.length > 0;
  setText(byId("answers-sub"), open ? `${plural(open, "job")} on the way` : "");
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const bytesMax = client.limits.audio_bytes_max ?? Infinity;
  if (sound.recorder) {
    sound.complain("Stop the recording first.");
    byId("stop").focus();
  } else if (!sound.sound) {
    sound.complain("Record a sound or choose a file first.");
    byId("record").focus();
  } else if (sound.sound.bytes.length > bytesMax) {
    sound.complain(`That is too large: the scheduler takes ${size(bytesMax)} at most. Cut it into shorter pieces.`);
  } else {
    const pair = pairs.value();
    if (pair !== null) send(sound.sound.name, sound.sound.bytes, pair);
  }
});
byId("forget").addEventListener("click", () => useToken(""));
setInterval(() => {
  for (const answer of answers) {
    if (answer.end) continue;
    answer.show();
    if (state.kind === "open" && document.visibilityState === "visible") answer.look();
  }
}, LOOK_MS);
startTheme(byId("theme"));
client.start();
