"""Speaks the gateway's prompts: `python3 prompts/make.py` writes the `.ulaw` files beside it (PCMU, 8 kHz, no header).

They are kept in the repository: espeak-ng says a sentence a little differently in every version, so a build that
spoke them would depend on the host. Made with espeak-ng 1.51. Standard library only.
"""

import array
import io
import math
import pathlib
import subprocess
import wave

HERE = pathlib.Path(__file__).parent
RATE, CUTOFF, TAPS = 8000, 3400, 96
PEAK = 16000
SENTENCES = {
    "enter": "Please enter the pin of this call, then press the hash key.",
    "wrong": "That pin is not right. Please try again, then press the hash key.",
    "refused": "That pin is not right. Goodbye.",
    "late": "No pin was entered. Goodbye.",
}


def speak(text):
    said = subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "--stdout"], input=text.encode(), capture_output=True, check=True)
    with wave.open(io.BytesIO(said.stdout)) as file:
        return array.array("h", file.readframes(file.getnframes())), file.getframerate()


def resample(samples, rate):
    """A windowed sinc around every sample of the result: low-pass and new rate in one."""
    result = []
    for n in range(len(samples) * RATE // rate):
        centre = n * rate / RATE
        first = max(0, math.ceil(centre) - TAPS)
        total = 0.0
        for i in range(first, min(len(samples), int(centre) + TAPS)):
            x = i - centre
            angle = 2 * math.pi * CUTOFF * x / rate
            total += samples[i] * (math.sin(angle) / angle if x else 1.0) * (0.5 + 0.5 * math.cos(math.pi * x / TAPS))
        result.append(total * 2 * CUTOFF / rate)
    return result


def trimmed(samples):
    """Without the silence at both ends, as loud as a telephone voice."""
    loud = [n for n, sample in enumerate(samples) if abs(sample) > 200]
    samples = samples[max(0, loud[0] - 400) : loud[-1] + 800]
    gain = PEAK / max(abs(sample) for sample in samples)
    return [int(sample * gain) for sample in samples]


def ulaw(sample):
    """ITU-T G.711, mu-law."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude >> 2, 8158) + 33
    segment = magnitude.bit_length() - 6
    return ~(sign | segment << 4 | magnitude >> segment + 1 & 15) & 0xFF


if __name__ == "__main__":
    for name, text in SENTENCES.items():
        (HERE / f"{name}.ulaw").write_bytes(bytes(ulaw(sample) for sample in trimmed(resample(*speak(text)))))
