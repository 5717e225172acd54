"""espeak-ng as a library: who speaks in training and who only in the test."""
import ctypes
import glob
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import numpy as np

RATE = 22050                                       # of espeak-ng
DATA = "/usr/lib/x86_64-linux-gnu/espeak-ng-data/"
VARIANTS = DATA + "voices/!v/"
ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-us-nyc")
FAR_ACCENTS = ("en-gb-x-gbcwmd", "en-029")         # West Midlands and Caribbean: a quarter of the test
TEST_VARIANTS = ("f2", "m3", "m7", "Andy", "Alicia", "linda", "victor", "steph", "john", "Gene", "norbert", "max")
NOT_SPEECH = ("whisper", "whisperf", "Demonic", "UniRobot", "anikaRobot", "robosoft", "Tweaky", "fast", "croak", "grandpa", "grandma")   # no voice to learn from
SPEEDS = ((80, 97), (115, 149), (160, 184), (195, 230))      # words a minute; the test speaks at those between
TEST_SPEEDS = ((100, 106), (150, 159), (185, 194))


def training_variants():
    names = sorted(os.path.basename(p) for p in glob.glob(VARIANTS + "*"))
    return [""] + [n for n in names if n not in TEST_VARIANTS and not n.startswith(NOT_SPEECH)]


def invented(r):
    """A voice that nobody has: a variant file, its numbers drawn from the ranges of espeak-ng's own."""
    size = r.uniform(.86, 1.36)                    # of the mouth
    some = lambda low, high: round(r.uniform(low, high))
    pitch = some(65, 215)
    lines = ["language variant", "name invented", f"pitch {pitch} {some(pitch, 1.6 * pitch)}", f"intonation {r.randrange(1, 5)}",
             f"formant 0 {some(85, 125)} {some(70, 120)} {some(90, 150)}"]
    for i in range(1, 9):
        lines.append(f"formant {i} {some(100 * size * .84, 100 * size * 1.16)} {some(50, 160) if i < 4 else some(0, 160)} {some(75, 160)}")
    often = {"flutter": (.4, lambda: some(0, 5)), "roughness": (.4, lambda: some(0, 3)), "voicing": (.3, lambda: some(38, 130)),
             "consonants": (.4, lambda: f"{some(50, 120)} {some(20, 110)}"), "echo": (.15, lambda: f"{some(20, 130)} {some(10, 50)}"),
             "breath": (.25, lambda: " ".join(str(some(0, 11)) for _ in range(8))),
             "tone": (.3, lambda: f"{some(100, 700)} {some(100, 255)} {some(900, 1400)} {some(30, 200)} {some(2000, 5000)} {some(20, 255)}"),
             "stressAmp": (.3, lambda: " ".join(str(some(12, 26)) for _ in range(8)))}
    return "\n".join(lines + [f"{key} {number()}" for key, (share, number) in often.items() if r.random() < share]) + "\n"


def with_invented(n, seed):
    """A folder for Espeak with the English voices and n invented variants more than the installed one (it lists 350 voices at most); their names."""
    r, folder, names = random.Random(seed), tempfile.mkdtemp(prefix="voices-"), [f"invented{i}" for i in range(n)]
    link = lambda path, keep=lambda name: True: [os.symlink(DATA + path + name, f"{folder}/espeak-ng-data/{path}{name}")
                                                 for name in os.listdir(DATA + path) if keep(name)]
    variants = folder + "/espeak-ng-data/voices/!v/"
    os.makedirs(variants)
    os.makedirs(folder + "/espeak-ng-data/lang/gmw")
    for name in names:
        with open(variants + name, "w", encoding="ascii") as out:
            out.write(invented(r))
    link("", lambda name: name not in ("voices", "lang"))
    link("lang/gmw/", lambda name: name.startswith("en"))
    link("voices/!v/")
    return folder, names


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h"""
    _fields_ = [("type", ctypes.c_int), ("message", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int), ("milliseconds", ctypes.c_int),
                ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("name", ctypes.c_char * 8)]


END, PHONEME = 0, 7                                # types of events


class Espeak:
    def __init__(self, folder=None):
        """folder: holds espeak-ng-data; None: the installed one"""
        self.c = ctypes.CDLL("libespeak-ng.so.1")
        assert self.c.espeak_Initialize(2, 400, folder and folder.encode(), 3) == RATE      # synchronous: the sound comes through the callback, with its phonemes in IPA
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
        self.parts, self.phonemes = [], []

        def take(samples, n, events):
            i = 0
            while events[i].type != END:
                if events[i].type == PHONEME:
                    self.phonemes.append((events[i].sample, events[i].name.decode("utf-8", "replace")))
                i += 1
            if samples and n:
                self.parts.append(np.ctypeslib.as_array(samples, (n,)).copy())
            return 0
        self.callback = kind(take)                                    # must live as long as the library
        self.c.espeak_SetSynthCallback(self.callback)

    def say(self, text, voice, speed, pitch, liveliness=50):
        """-> int16 samples at RATE, [(sample at which it starts, phoneme in IPA; "" is a pause)]. voice: "en-us+f3"; pitch and liveliness (range of the pitch): 0 to 99."""
        self.parts, self.phonemes = [], []
        if self.c.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(voice)
        for parameter, value in ((1, speed), (3, pitch), (4, liveliness)):
            self.c.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self.c.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        return np.concatenate(self.parts) if self.parts else np.zeros(0, np.int16), self.phonemes


class Speaker:
    """Espeak in a process of its own, which is started again when the library crashes (some voices make it)."""

    def __init__(self, folder=None):
        self.child, self.arguments = None, [folder] if folder else []

    def say(self, *what):
        """As Espeak.say; nothing when the library crashed."""
        if self.child is None:
            self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "serve", *self.arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.child.stdin.write(json.dumps(what).encode() + b"\n")
            self.child.stdin.flush()
            n, m = struct.unpack("<II", self.child.stdout.read(8))
            return np.frombuffer(self.child.stdout.read(n), np.int16), json.loads(self.child.stdout.read(m))
        except (BrokenPipeError, struct.error, json.JSONDecodeError):
            self.child.wait()
            self.child = None
            return np.zeros(0, np.int16), []


def serve(folder=None):
    espeak = Espeak(folder)
    for line in sys.stdin:
        samples, phonemes = espeak.say(*json.loads(line))
        data, names = samples.tobytes(), json.dumps(phonemes).encode()
        sys.stdout.buffer.write(struct.pack("<II", len(data), len(names)) + data + names)
        sys.stdout.buffer.flush()


def voice(r, accents, variants):
    variant = r.choice(variants)
    return r.choice(accents) + ("+" + variant if variant else "")


def speed(r, ranges):
    low, high = r.choice(ranges)
    return r.randrange(low, high + 1)


if __name__ == "__main__":
    serve(*sys.argv[2:])
