// The entry: connects the live stream with what the page shows.

import { hasToken, setToken } from "../common/api.js";
import { byId, setText } from "../common/dom.js";
import { duration, moment, plural } from "../common/format.js";
import { hideObstacle, showObstacle } from "../common/obstacle.js";
import { startTheme } from "../common/theme.js";
import { TokenQuestion } from "../common/token.js";
import { Charts } from "./charts.js";
import { JobLife } from "./job_life.js";
import { JobsPanel } from "./jobs.js";
import { NodesPanel } from "./nodes.js";
import { showNotices } from "./notices.js";
import { PoolsPanel } from "./pools.js";
import { DashboardStream } from "./stream.js";
import { Tiles } from "./tiles.js";
import { showWelcome } from "./welcome.js";

const life = new JobLife();
const tiles = new Tiles(byId("tiles"));
const pools = new PoolsPanel(byId("pools"), byId("pools-sub"));
const jobs = new JobsPanel(byId("jobs"), byId("jobs-sub"), byId("ended"), (id) => life.open(id));
const charts = new Charts(byId("charts"), byId("jobs"));
const nodes = new NodesPanel(byId("nodes"), byId("nodes-sub"));
const token = new TokenQuestion(
  { role: "an admin", button: "Open the dashboard", why: "The dashboard shows everything, so it is for admins:" },
  (text) => {
    setToken(text);
    stream.start();
  },
);
const shown = { limits: null, state: { kind: "connecting" }, lastMs: 0, countdown: 0 };
const stream = new DashboardStream("v1/dashboard", onEvent, onState);

function onEvent(kind, data) {
  if (kind === "past") {
    shown.limits = data.limits;
    charts.past(data);
    return;
  }
  if (kind !== "now") return;
  shown.lastMs = Date.now();
  charts.now(data);
  tiles.update(data);
  pools.update(data);
  jobs.update(data, shown.limits);
  nodes.update(data, shown.limits);
  showWelcome(byId("welcome"), data);
  showNotices(byId("notices"), data, shown.limits);
  setText(byId("about"), `up ${duration(data.at_ms - data.started_ms)}`);
  byId("about").title = `since ${moment(data.started_ms)}`;
  setText(byId("foot-version"), `voxpool ${data.version} · ${plural(data.viewers, "viewer")}`);
  document.body.classList.add("full");
}

function onState(state) {
  const was = shown.state.kind;
  shown.state = state;
  clearInterval(shown.countdown);
  document.documentElement.dataset.stream = state.kind;
  if (state.kind === "denied") askForToken();
  else if (state.kind === "live") token.close();
  byId("forget").hidden = !hasToken();
  if (state.kind === "lost") shown.countdown = setInterval(showState, 1000);
  if (state.kind === "live" && was === "live") return;
  showState();
}

function askForToken() {
  token.ask(shown.state.status === 403, hasToken());
}

function showState() {
  const { kind, detail, retryAtMs, status } = shown.state;
  const leftS = Math.max(0, Math.ceil((retryAtMs - Date.now()) / 1000));
  const texts = {
    connecting: shown.lastMs ? "Reconnecting" : "Connecting",
    live: "Live",
    lost: "Reconnecting",
    denied: status === 403 ? "Not allowed" : "Token needed",
    hidden: "Paused",
  };
  setText(byId("state-text"), texts[kind]);
  const since = shown.lastMs ? ` What you see is of ${moment(shown.lastMs)}.` : "";
  if (kind === "lost") {
    const text = `No connection: ${detail}.${since} Next try ${leftS ? `in ${leftS} s` : "now"}.`;
    showObstacle(byId("main"), kind, text, "Try now", () => stream.start());
  } else if (kind === "denied") {
    const text = `The dashboard is for admins, and this tab has shown no token of one.${since}`;
    showObstacle(byId("main"), kind, text, "Enter a token", askForToken);
  } else if (kind === "live") {
    hideObstacle();
  }
}

byId("forget").addEventListener("click", () => {
  setToken("");
  stream.start();
});
byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = byId("find-id").value.trim();
  if (id) life.open(id);
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, textarea, select, dialog");
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    byId("find-id").focus();
  }
});
startTheme(byId("theme"));
stream.start();
life.followAddress();
