"""espeak-ng as a library: who speaks in training and who only in the test."""
import ctypes
import glob
import json
import os
import struct
import subprocess
import sys
import numpy as np

RATE = 22050                                       # of espeak-ng
VARIANTS = "/usr/lib/x86_64-linux-gnu/espeak-ng-data/voices/!v/"
ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-us-nyc")
TEST_ACCENTS = ("en-gb-x-gbcwmd", "en-029")
TEST_VARIANTS = ("f2", "m3", "m7", "Andy", "Alicia", "linda", "victor", "steph", "john", "Gene", "norbert", "max")
NOT_SPEECH = ("whisper", "whisperf", "Demonic", "UniRobot", "anikaRobot", "robosoft", "Tweaky", "fast", "croak", "grandpa", "grandma")   # no voice to learn from
SPEEDS = ((120, 149), (160, 184), (195, 230))      # words a minute; the test speaks slower and at those between
TEST_SPEEDS = ((100, 106), (150, 159), (185, 194))


def training_variants():
    names = sorted(os.path.basename(p) for p in glob.glob(VARIANTS + "*"))
    return [""] + [n for n in names if n not in TEST_VARIANTS and not n.startswith(NOT_SPEECH)]


class Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h"""
    _fields_ = [("type", ctypes.c_int), ("message", ctypes.c_uint), ("text", ctypes.c_int), ("length", ctypes.c_int), ("milliseconds", ctypes.c_int),
                ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("name", ctypes.c_char * 8)]


END, PHONEME = 0, 7                                # types of events


class Espeak:
    def __init__(self):
        self.c = ctypes.CDLL("libespeak-ng.so.1")
        assert self.c.espeak_Initialize(2, 400, None, 3) == RATE      # synchronous: the sound comes through the callback, with its phonemes in IPA
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

    def __init__(self):
        self.child = None

    def say(self, *what):
        """As Espeak.say; nothing when the library crashed."""
        if self.child is None:
            self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.child.stdin.write(json.dumps(what).encode() + b"\n")
            self.child.stdin.flush()
            n, m = struct.unpack("<II", self.child.stdout.read(8))
            return np.frombuffer(self.child.stdout.read(n), np.int16), json.loads(self.child.stdout.read(m))
        except (BrokenPipeError, struct.error, json.JSONDecodeError):
            self.child.wait()
            self.child = None
            return np.zeros(0, np.int16), []


def serve():
    espeak = Espeak()
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
    serve()
