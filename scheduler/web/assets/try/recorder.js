// The microphone: from the question for it to the samples that it gave, at RATE_HZ.

import { joined, resampled } from "./wav.js";

const LAST_PIECE_MS = 1000; // an audio thread that the system has put to sleep answers nothing
const WORKLET = new URL("recorder_worklet.js", import.meta.url);

/** Why there is no microphone; the message says what to do about it. */
export class NoMicrophone extends Error {}

const HINTS = {
  NotAllowedError:
    "The microphone was not allowed. Allow it for this page in the browser's address bar, or choose a file instead.",
  NotFoundError: "No microphone was found. Connect one, or choose a file instead.",
  NotReadableError: "The microphone can't be opened: another program may have it. End that, or choose a file instead.",
};
const INSECURE =
  "Browsers give a microphone only to pages from HTTPS or from this very machine. Open this page by https:// or by " +
  "localhost, or choose a file instead.";

export class Recorder {
  /** `onPiece(peak, seconds)` is called for each piece: how loud it is (0 to 1), and how much there is so far. */
  constructor(onPiece) {
    this.onPiece = onPiece;
    this.pieces = [];
    this.samples = 0;
    this.stream = null;
    this.context = null;
  }

  /** Begin; return once it listens. `onEnd` is called when the microphone goes away. Throws NoMicrophone. */
  async start(onEnd) {
    if (!isSecureContext) throw new NoMicrophone(INSECURE);
    if (!navigator.mediaDevices?.getUserMedia) throw new NoMicrophone("This browser has no microphone for pages.");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
      this.context = new AudioContext();
      await this.context.audioWorklet.addModule(WORKLET);
    } catch (error) {
      this.#release();
      throw new NoMicrophone(HINTS[error.name] ?? `The microphone can't be opened: ${error.message}`);
    }
    this.node = new AudioWorkletNode(this.context, "listener");
    this.node.port.onmessage = ({ data }) => this.#receive(data);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    this.node.connect(this.context.destination); // it is silent; what leads nowhere is not run
    for (const track of this.stream.getTracks()) track.addEventListener("ended", onEnd);
  }

  /** End; return the samples. */
  async stop() {
    const { sampleRate } = this.context;
    await new Promise((resolve) => {
      this.wholeIsThere = resolve;
      this.node.port.postMessage("that is all");
      setTimeout(resolve, LAST_PIECE_MS);
    });
    this.#release();
    return resampled(joined(this.pieces), sampleRate);
  }

  /** End without a result. */
  discard() {
    this.#release();
  }

  #receive(piece) {
    if (piece === null) {
      this.wholeIsThere();
      return;
    }
    this.pieces.push(piece);
    this.samples += piece.length;
    const peak = piece.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    this.onPiece(peak, this.samples / this.context.sampleRate);
  }

  #release() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.context && this.context.state !== "closed") this.context.close();
  }
}
