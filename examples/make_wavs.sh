#!/usr/bin/env bash
# Makes the WAV files of this folder: 16 kHz, one channel, 16 bits. Needs espeak-ng and python3.
set -euo pipefail
cd "$(dirname "$0")"

speak() { # FILE VOICE WORDS_PER_MINUTE PITCH TEXT
  espeak-ng -v "$2" -s "$3" -p "$4" -w "$1.22k" "$5"
  python3 - "$1.22k" "$1.wav" <<'PYTHON'
import sys, wave, array

source, target = sys.argv[1:]
with wave.open(source) as file:
    rate, samples = file.getframerate(), array.array("h", file.readframes(file.getnframes()))
count = len(samples) * 16000 // rate
out = array.array("h")
for number in range(count):  # from 22.05 to 16 kHz: a mean over the span of the new sample
    at = number * rate / 16000
    low, part = int(at), at - int(at)
    high = min(low + 1, len(samples) - 1)
    out.append(round(samples[low] * (1 - part) + samples[high] * part))
with wave.open(target, "wb") as file:
    file.setparams((1, 2, 16000, count, "NONE", ""))
    file.writeframes(out.tobytes())
PYTHON
  rm "$1.22k"
}

# Voices and sentences that the recogniser of the extra voxpool[speech] understands word by word.
speak numbers en-us 140 35 "one two three four five"
speak station en-us+f2 140 35 "where is the railway station"
speak greeting en-us 140 35 "how are you today"
speak morning en-us+m7 140 55 "good morning"

python3 - <<'PYTHON'
import array, math, wave

def write(name, samples):
    with wave.open(name, "wb") as file:
        file.setparams((1, 2, 16000, len(samples), "NONE", ""))
        file.writeframes(array.array("h", samples).tobytes())

write("silence.wav", [0] * 32000)
write("tone.wav", [round(16384 * math.sin(2 * math.pi * 440 * n / 16000)) for n in range(24000)])
PYTHON
