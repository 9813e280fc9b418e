// Runs in the audio thread: passes the sound of the microphone to the page, in pieces.

const PIECE_SAMPLES = 2048;

class Listener extends AudioWorkletProcessor {
  constructor() {
    super();
    this.piece = new Float32Array(PIECE_SAMPLES);
    this.filled = 0;
    this.port.onmessage = () => {
      this.port.postMessage(this.piece.slice(0, this.filled));
      this.port.postMessage(null); // that was all
    };
  }

  process([channels]) {
    const samples = channels[0] ?? [];
    for (const sample of samples) {
      this.piece[this.filled] = sample;
      this.filled += 1;
      if (this.filled === PIECE_SAMPLES) {
        this.port.postMessage(this.piece);
        this.piece = new Float32Array(PIECE_SAMPLES);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("listener", Listener);
