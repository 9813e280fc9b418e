// Sound as numbers and as WAV files (RIFF/WAVE, PCM of 16 bits, one channel): no file leaves the browser from here.

export const RATE_HZ = 16_000; // what speech engines want; half of it is the highest tone that is kept
const HEAD_BYTES = 44;
const SAMPLE_BYTES = 2;

/** Return `samples` (-1 to 1, at RATE_HZ) as the bytes of a WAV file. */
export function encodeWav(samples) {
  const size = samples.length * SAMPLE_BYTES;
  const view = new DataView(new ArrayBuffer(HEAD_BYTES + size));
  const word = (at, text) => [...text].forEach((letter, place) => view.setUint8(at + place, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, HEAD_BYTES - 8 + size, true);
  word(8, "WAVE");
  word(12, "fmt ");
  view.setUint32(16, 16, true); // bytes of this part
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, RATE_HZ, true);
  view.setUint32(28, RATE_HZ * SAMPLE_BYTES, true);
  view.setUint16(32, SAMPLE_BYTES, true);
  view.setUint16(34, 8 * SAMPLE_BYTES, true);
  word(36, "data");
  view.setUint32(40, size, true);
  for (let place = 0; place < samples.length; place += 1) {
    const value = Math.max(-1, Math.min(1, samples[place]));
    view.setInt16(HEAD_BYTES + place * SAMPLE_BYTES, Math.round(value < 0 ? value * 0x8000 : value * 0x7fff), true);
  }
  return new Uint8Array(view.buffer);
}

/** How many seconds of sound a WAV file of ours with `bytes` has. */
export const secondsIn = (bytes) => Math.max(0, bytes - HEAD_BYTES) / (RATE_HZ * SAMPLE_BYTES);

/** Whether `bytes` begin as a WAV file does. */
export function isWav(bytes) {
  const word = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  return bytes.length >= 12 && word(0) === "RIFF" && word(8) === "WAVE";
}

/** Return the samples of a sound file, one channel at RATE_HZ. Throws when the browser does not know its format. */
export async function decoded(bytes) {
  const context = new OfflineAudioContext(1, 1, RATE_HZ);
  return mixed(await context.decodeAudioData(bytes.slice().buffer));
}

/** Return `samples` of another rate at RATE_HZ, without what would fold back from above. */
export async function resampled(samples, rateHz) {
  const length = Math.round((samples.length * RATE_HZ) / rateHz);
  if (rateHz === RATE_HZ || length === 0) return samples;
  const context = new OfflineAudioContext(1, length, RATE_HZ);
  const source = context.createBufferSource();
  source.buffer = new AudioBuffer({ length: samples.length, sampleRate: rateHz });
  source.buffer.copyToChannel(samples, 0);
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

/** Return pieces of samples as one. */
export function joined(pieces) {
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Return the largest sample of each of `count` equal parts: what a picture of the sound needs. */
export function peaks(samples, count) {
  const size = samples.length / count;
  return Array.from({ length: count }, (_, part) => {
    let most = 0;
    for (let at = Math.floor(part * size); at < (part + 1) * size && at < samples.length; at += 1) {
      most = Math.max(most, Math.abs(samples[at]));
    }
    return most;
  });
}

/** Return two seconds of a tone that comes and goes, for who has neither a microphone nor a file. */
export function testTone() {
  const seconds = 2;
  return Float32Array.from({ length: seconds * RATE_HZ }, (_, at) => {
    const time = at / RATE_HZ;
    return 0.5 * Math.sin(2 * Math.PI * 440 * time) * Math.sin((Math.PI * time) / seconds) ** 2;
  });
}

function mixed(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, place) => buffer.getChannelData(place));
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, at) => channels.reduce((sum, channel) => sum + channel[at], 0) / channels.length);
}
