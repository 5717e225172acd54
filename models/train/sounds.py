"""What happens to a voice between mouth and encoder: rate, room, band, noise; then the mel frames of the lfm2a front end.

mel() is in step with conformer_mel() of lib/encoders/audio/mel.cpp.
"""
import bisect
import numpy as np
from scipy import fft                               # NumPy's has no single precision
import voices

RATE = 16000


SMOOTH = sorted(2 ** a * 3 ** b * 5 ** c for a in range(4, 20) for b in range(6) for c in range(4) if 2 ** a * 3 ** b * 5 ** c < 1 << 20)


def smooth(n):
    """The next length that Fourier transforms like."""
    return SMOOTH[bisect.bisect_left(SMOOTH, n)]


def resampled(x, rate):
    """x at `rate` (to 3 %) -> RATE, by cutting or lengthening the spectrum of a padded copy."""
    at = bisect.bisect_left(SMOOTH, len(x) + 2000)
    n, m = min(((n, smooth(int(n * RATE / rate))) for n in SMOOTH[at:at + 6]), key=lambda nm: abs(nm[1] / nm[0] * rate / RATE - 1))
    spectrum, rate = fft.rfft(x, n), RATE * n / m
    keep = min(len(spectrum), m // 2 + 1)
    out = np.zeros(m // 2 + 1, np.complex64)
    out[:keep] = spectrum[:keep]
    out[int(keep * .97):keep] *= np.linspace(1, 0, keep - int(keep * .97))
    return (fft.irfft(out, m) * (m / n))[:int(len(x) * RATE / rate)].astype(np.float32)


def filters(bands, n_fft):
    to_mel = lambda hz: np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) * 27 / np.log(6.4))
    to_hz = lambda mel: np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
    corners = to_hz(to_mel(np.float64(RATE / 2)) * np.arange(bands + 2) / (bands + 1))
    hz = np.arange(n_fft // 2 + 1) * RATE / n_fft
    left, peak, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.maximum(0, np.minimum((hz - left) / (peak - left), (right - hz) / (right - peak))) * 2 / (right - left)


N_FFT, WINDOW, HOP, BANDS = 512, 400, 160, 64
FILTERS = filters(BANDS, N_FFT).T.astype(np.float32)
HANN = np.zeros(N_FFT, np.float32)
HANN[(N_FFT - WINDOW) // 2:(N_FFT + WINDOW) // 2] = .5 - .5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def mel(x):
    """float samples in [-1, 1] -> [len(x) // HOP + 1, BANDS] float32; the last frame is zero."""
    counted = len(x) // HOP
    sound = np.zeros((counted + 1) * HOP + N_FFT, np.float32)
    sound[N_FFT // 2:N_FFT // 2 + len(x)] = x
    sound[N_FFT // 2 + 1:N_FFT // 2 + len(x)] -= np.float32(.97) * x[:-1]
    frames = np.lib.stride_tricks.as_strided(sound, (counted, N_FFT), (HOP * 4, 4)) * HANN
    spectrum = fft.rfft(frames)
    logs = np.log(np.maximum((spectrum.real ** 2 + spectrum.imag ** 2) @ FILTERS, np.float32(2 ** -24)))
    logs = (logs - logs.mean(0)) / (logs.std(0, ddof=1) + 1e-5)
    return np.concatenate((logs, np.zeros((1, BANDS), np.float32)))


def coloured(g, n, slope):
    """Noise whose power falls with frequency as f^-slope."""
    spectrum = fft.rfft(g.standard_normal(n))
    spectrum *= np.maximum(np.arange(len(spectrum)), n * 40 / RATE) ** (-slope / 2)
    return fft.irfft(spectrum, n)


def hum(g, n):
    t, f = np.arange(n) / RATE, g.choice((50, 60, 100, 120, g.uniform(80, 400)))
    return sum(g.uniform(0, 1) / k * np.sin(2 * np.pi * (f * k * t + g.uniform())) for k in range(1, 7)) + .1 * g.standard_normal(n)


class Noises:
    """Long stretches made once; `babble`: recordings that talk at once."""

    def __init__(self, g, babble):
        n = 20 * RATE
        self.all = [coloured(g, n, s) for s in (0, 0, .5, 1, 1, 1.5, 2)] + [hum(g, n) for _ in range(4)]
        for talkers in (3, 5, 8):
            mixed = np.zeros(n)
            for _ in range(talkers * 12):
                x = babble[g.integers(len(babble))]
                at = g.integers(n)
                mixed[at:at + len(x)] += x[:n - at] * g.uniform(.3, 1)
            self.all.append(mixed + 1e-4 * g.standard_normal(n))
        self.all = [(x / np.sqrt((x ** 2).mean())).astype(np.float32) for x in self.all]

    def draw(self, g, n):
        x = self.all[g.integers(len(self.all))]
        at = g.integers(len(x) - n)
        return x[at:at + n]


def room(g, seconds):
    """An impulse response: the direct sound and an exponential tail that is 60 dB down after `seconds`."""
    n = int(seconds * RATE)
    tail = g.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[:int(RATE * g.uniform(.002, .015))] = 0
    tail *= g.uniform(.3, 1.2) / np.sqrt((tail ** 2).sum())
    tail[0] = 1
    return tail


def in_room(x, response):
    n = smooth(len(x) + len(response) - 1)
    return fft.irfft(fft.rfft(x, n) * fft.rfft(response, n), n)[:len(x)].astype(np.float32)


def band(x, low, high):
    """Only what lies between `low` and `high` Hz, with slopes of a quarter octave."""
    n = smooth(len(x))
    hz = np.maximum(fft.rfftfreq(n, 1 / RATE), 1)
    keep = np.clip(np.log2(hz / low) * 4 + 1, .003, 1) * np.clip(np.log2(high / hz) * 4 + 1, .003, 1)
    return fft.irfft(fft.rfft(x, n) * keep, n)[:len(x)].astype(np.float32)


def add_noise(x, noise, decibels):
    """`decibels`: of the voice's loud parts over the noise."""
    power = np.sort((x[:len(x) // 400 * 400].reshape(-1, 400) ** 2).mean(1))
    loud = power[len(power) // 2:].mean() if power[-1] > 0 else 1e-4
    return x + noise * np.float32(np.sqrt(loud * 10 ** (-decibels / 10)))


def spoil(g, x, noises):
    """Training: one in five stays clean."""
    x = x * np.float32(10 ** g.uniform(-1.4, 0) / max(1e-3, np.abs(x).max()))
    if g.uniform() < .2:
        return x + np.float32(10 ** g.uniform(-6, -3.5)) * g.standard_normal(len(x), np.float32) if g.uniform() < .5 else x
    if g.uniform() < .5:
        x = in_room(x, room(g, g.uniform(.1, .7)))
    if g.uniform() < .9:
        x = add_noise(x, noises.draw(g, len(x)), g.uniform(2, 22))
    if g.uniform() < .35:
        x = band(x, g.uniform(40, 400), g.choice((3400, g.uniform(2800, 7500))))
    if g.uniform() < .08:
        top = np.abs(x).max() * g.uniform(.25, .8)
        x = np.clip(x, -top, top)
    if g.uniform() < .06 and x.any():
        y = np.sign(x) * np.log1p(255 * np.abs(x) / np.abs(x).max()) / np.log(256)
        x = np.abs(x).max() * np.sign(y) * (256 ** np.abs(np.round(y * 127) / 127) - 1) / 255
    return x.astype(np.float32)


def masked(g, m):
    """Parts of the mel frames blanked (SpecAugment, arXiv:1904.08779)."""
    for _ in range(g.integers(2)):
        at, width = g.integers(BANDS - 8), g.integers(1, 9)
        m[:, at:at + width] = 0
    for _ in range(g.integers(2)):
        at, width = g.integers(len(m)), g.integers(1, 7)
        m[at:at + width] = 0
    return m
