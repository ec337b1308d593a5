"""What is in this sound?  Frequencies, levels and order of tones in 16-bit samples."""

import io
import wave
from dataclasses import dataclass

import numpy as np

FULL_SCALE = 32768.0


def sine(hz, seconds, rate=8000, level=8000):
    return (level * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def keys(digits, rate=8000, length=0.08, pause=0.08, level=6000):
    """The tones of a telephone's keys (ITU-T Q.23), one after the other."""
    pad, low, high = "123A456B789C*0#D", (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    sounds = [np.zeros(int(pause * rate), dtype=np.int16)]
    for at in map(pad.index, digits):
        sounds += [sine(low[at // 4], length, rate, level) + sine(high[at % 4], length, rate, level), sounds[0]]
    return np.concatenate(sounds)


def level_db(samples):
    """RMS level relative to full scale; a full-scale sine is -3 dB."""
    samples = np.asarray(samples, dtype=float)
    rms = np.sqrt(np.mean(samples**2)) if len(samples) else 0.0
    return 20 * np.log10(max(rms, 1e-3) / FULL_SCALE)


def _fit(samples, hz, rate):
    """Powers of the best sine at exactly `hz`, and of what it leaves over."""
    samples = np.asarray(samples, dtype=float)
    phase = 2 * np.pi * hz * np.arange(len(samples)) / rate
    basis = np.stack([np.sin(phase), np.cos(phase), np.ones(len(samples))], axis=1)
    found, *_ = np.linalg.lstsq(basis, samples, rcond=None)
    left = samples - basis @ found
    return float(np.mean((basis[:, :2] @ found[:2]) ** 2)), float(np.mean(left**2))


def snr_db(samples, hz, rate):
    """How far the tone stands above everything else; the clock of the sender may be off a little."""
    best = max((_fit(samples, hz * (1 + ppm * 1e-6), rate) for ppm in range(-200, 201, 20)), key=lambda it: it[0] / (it[1] + 1e-9))
    return 10 * np.log10(best[0] / (best[1] + 1e-9) + 1e-12)


def typical_snr_db(samples, hz, rate, window=0.5):
    """The median over windows: a client that stretches time once does not spoil it."""
    size = int(window * rate)
    parts = [samples[n : n + size] for n in range(0, len(samples) - size + 1, size)]
    return float(np.median([snr_db(part, hz, rate) for part in parts])) if parts else float("-inf")


def share(samples, hz, rate):
    """Share of the power that is at `hz`, 0 to 1."""
    if len(samples) == 0:
        return 0.0
    tone, rest = _fit(samples, hz, rate)
    return tone / (tone + rest + 1e-9)


def filled(samples, hz, rate, step=0.02):
    """Share of the windows of which most is this tone, 0 to 1."""
    size = int(step * rate)
    parts = [samples[n : n + size] for n in range(0, len(samples) - size + 1, size)]
    return sum(level_db(part) > -50 and share(part, hz, rate) > 0.8 for part in parts) / max(1, len(parts))


@dataclass
class Run:
    """One tone: which, from when, for how long, how loud."""

    hz: int
    start: float
    length: float
    level: float


def runs(samples, rate, tones, step=0.02, shortest=0.1):
    """The tones in order. A window counts for a tone when most of its power is there."""
    samples, size = np.asarray(samples), int(step * rate)
    found = []
    for n in range(0, len(samples) - size + 1, size):
        part = samples[n : n + size]
        hz = max(tones, key=lambda hz: share(part, hz, rate)) if level_db(part) > -50 else None
        if hz is not None and share(part, hz, rate) < 0.8:
            hz = None
        if not found or found[-1][0] != hz:
            found.append([hz, n, n])
        found[-1][2] = n + size
    return [
        Run(hz, start / rate, (end - start) / rate, level_db(samples[start:end]))
        for hz, start, end in found
        if hz is not None and (end - start) / rate >= shortest
    ]


def read_wav(data):
    """(samples, rate) of a mono 16-bit WAV in memory."""
    with wave.open(io.BytesIO(data)) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1, file.getparams()
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16), file.getframerate()
