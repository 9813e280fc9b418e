// The sound that is to be sent: recorded, chosen, dropped or made; shown, played, and thrown away.

import { byId, s, say, setText } from "../common/dom.js";
import { bytes as size, duration } from "../common/format.js";
import { NoMicrophone, Recorder } from "./recorder.js";
import { decoded, encodeWav, isWav, peaks, RATE_HZ, secondsIn, testTone } from "./wav.js";

const FILE_BYTES_MAX = 64 * 1024 ** 2; // what is opened at all: a film would fill the memory of the tab
const RECORD_MAX_S = 60; // until the scheduler has sent its limits
const BARS = 60; // of the picture
const LEVELS = 44; // of the meter
const SILENCE = 0.003; // a peak below it is what an unplugged microphone gives

export class SoundPanel {
  /** `limits` returns what the scheduler takes. */
  constructor(limits) {
    this.limits = limits;
    this.sound = null;
    this.recorder = null;
    this.player = null;
    this.turn = 0; // of what was asked for last: an answer to an older wish is dropped
    byId("record").addEventListener("click", () => this.#record());
    byId("stop").addEventListener("click", () => this.#stop());
    byId("discard").addEventListener("click", () => this.clear());
    byId("choose").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", ({ target }) => {
      if (target.files.length) this.#open(target.files[0]);
      target.value = "";
    });
    byId("tone").addEventListener("click", () => this.#take("Test tone", encodeWav(testTone()), testTone()));
    byId("play").addEventListener("click", () => this.#play());
    byId("remove").addEventListener("click", () => this.clear());
    byId("level").append(...Array.from({ length: LEVELS }, () => document.createElement("i")));
    this.#acceptDrops();
  }

  /** Say what is wrong with the sound, or nothing. */
  complain(text) {
    setText(byId("sound-failure"), text);
  }

  /** Throw the sound away. */
  clear() {
    this.#begin();
    this.#show("empty");
    byId("record").focus();
  }

  /** End what is going on, and forget the sound; return the number of this turn. */
  #begin() {
    this.recorder?.discard();
    this.recorder = null;
    this.#silence();
    if (this.sound) URL.revokeObjectURL(this.sound.url);
    this.sound = null;
    this.complain("");
    this.turn += 1;
    return this.turn;
  }

  #show(stage) {
    for (const name of ["empty", "recording", "chosen"]) byId(`stage-${name}`).hidden = name !== stage;
  }

  async #record() {
    const turn = this.#begin();
    const maxS = this.#secondsMax();
    const recorder = new Recorder((peak, seconds) => this.#meter(recorder, peak, seconds, maxS));
    byId("record").disabled = true;
    try {
      await recorder.start(() => this.#stop());
    } catch (error) {
      if (!(error instanceof NoMicrophone)) throw error;
      if (turn === this.turn) this.complain(error.message);
      return;
    } finally {
      byId("record").disabled = false;
    }
    if (turn !== this.turn) {
      recorder.discard();
      return;
    }
    this.recorder = recorder;
    this.loudest = 0;
    setText(byId("clock"), "0.0");
    setText(byId("recording-sub"), `It stops by itself after ${duration(1000 * Math.floor(maxS))}.`);
    for (const bar of byId("level").children) bar.style.height = "";
    this.#show("recording");
    byId("stop").focus();
    say("Recording");
  }

  #meter(recorder, peak, seconds, maxS) {
    if (this.recorder !== recorder) return;
    this.loudest = Math.max(this.loudest, peak);
    setText(byId("clock"), seconds.toFixed(1));
    const bars = byId("level");
    const bar = bars.firstElementChild;
    bar.style.height = `${Math.round(100 * Math.sqrt(peak))}%`;
    bars.append(bar);
    if (seconds >= maxS) this.#stop();
  }

  async #stop() {
    const recorder = this.recorder;
    if (!recorder) return;
    this.recorder = null;
    const turn = this.turn;
    // The last piece may have gone over what may be sent.
    const samples = (await recorder.stop()).subarray(0, Math.floor(this.#secondsMax() * RATE_HZ));
    if (turn !== this.turn) return;
    if (!samples.length) {
      this.clear();
      this.complain("Nothing was recorded.");
      return;
    }
    const isSilent = this.loudest < SILENCE;
    this.#take("Recording", encodeWav(samples), samples);
    if (isSilent) this.complain("That is all silence: is the right microphone chosen, and not muted?");
  }

  #secondsMax() {
    const bytesMax = this.limits().audio_bytes_max;
    return bytesMax ? secondsIn(bytesMax) : RECORD_MAX_S;
  }

  async #open(file) {
    const turn = this.#begin();
    if (file.size > FILE_BYTES_MAX) {
      this.#refuse(`${file.name} has ${size(file.size)}; ${size(FILE_BYTES_MAX)} are the most that this page opens.`);
      return;
    }
    let bytes;
    try {
      bytes = new Uint8Array(await file.arrayBuffer());
    } catch {
      if (turn === this.turn) this.#refuse(`${file.name} can't be read. Is it a folder?`);
      return;
    }
    let samples = null;
    try {
      samples = await decoded(bytes);
    } catch {
      // the browser can't play it: a WAV file is sent all the same, the scheduler judges it
    }
    if (turn !== this.turn) return;
    if (isWav(bytes)) this.#take(file.name, bytes, samples);
    else if (samples) this.#take(file.name, encodeWav(samples), samples, "made a WAV file for you");
    else this.#refuse(`${file.name} is no sound that this browser knows. Take a WAV file.`);
  }

  #refuse(text) {
    this.#show("empty");
    this.complain(text);
  }

  /** Here is a sound: `bytes` are what is sent, `samples` what is shown of it, or null. */
  #take(name, bytes, samples, remark = "") {
    this.#begin();
    const url = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
    this.sound = { name, bytes, url };
    const facts = [samples && duration((1000 * samples.length) / RATE_HZ), size(bytes.length), remark];
    setText(byId("sound-name"), name);
    setText(byId("sound-facts"), facts.filter(Boolean).join(" · "));
    draw(byId("wave"), samples);
    byId("play").disabled = !samples;
    this.#show("chosen");
    const bytesMax = this.limits().audio_bytes_max ?? Infinity;
    if (bytes.length > bytesMax) {
      this.complain(`That is too large: the scheduler takes ${size(bytesMax)} at most. Cut it into shorter pieces.`);
    }
  }

  #play() {
    if (this.player) {
      this.#silence();
      return;
    }
    this.player = new Audio(this.sound.url);
    this.player.addEventListener("ended", () => this.#silence());
    this.player.play().catch(() => {
      this.#silence();
      this.complain("This browser can't play it; it can be sent all the same.");
    });
    setText(byId("play"), "Stop playing");
  }

  #silence() {
    this.player?.pause();
    this.player = null;
    setText(byId("play"), "Play");
  }

  #acceptDrops() {
    const place = byId("sound");
    const isFile = (event) => event.dataTransfer?.types.includes("Files");
    const over = (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      place.classList.add("over");
    };
    // Anywhere on the page: a file that misses the place would else replace the page.
    addEventListener("dragenter", over);
    addEventListener("dragover", over);
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) place.classList.remove("over");
    });
    addEventListener("drop", (event) => {
      place.classList.remove("over");
      if (!isFile(event)) return;
      event.preventDefault();
      this.#open(event.dataTransfer.files[0]);
    });
  }
}

function draw(picture, samples) {
  const parts = samples ? peaks(samples, BARS) : [];
  const loudest = Math.max(0.05, ...parts);
  picture.replaceChildren(
    ...parts.map((peak, place) => {
      const height = Math.max(1, (38 * peak) / loudest);
      return s("rect", { x: 2 * place + 0.4, y: (40 - height) / 2, width: 1.2, height, rx: 0.6 });
    }),
  );
  picture.toggleAttribute("hidden", !samples);
}
