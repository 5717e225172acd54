#!/usr/bin/env python3
"""The voice message of the demo and the tests: python3 speech_sample.py FOLDER writes message.opus (needs opusenc of opus-tools).

Sentences of the test set, spoken by a voice that never spoke in training.
"""
import os
import subprocess
import sys
import numpy as np
import voices

SENTENCES = ("We moved the appointment from Tuesday to Thursday.", "Could you turn the heating down a little?", "I will call you back as soon as I can.")
VOICE, SPEED, PITCH, PAUSE = "en-us+linda", 154, 50, 1.6


def main(folder):
    speaker, sound = voices.Espeak(), [np.zeros(voices.RATE // 2, np.int16)]
    for sentence in SENTENCES:
        sound += [speaker.say(sentence, VOICE, SPEED, PITCH)[0], np.zeros(int(voices.RATE * PAUSE), np.int16)]
    subprocess.run(["opusenc", "--quiet", "--raw", "--raw-rate", str(voices.RATE), "--raw-chan", "1", "--bitrate", "24", "--serial", "1", "-",
                    os.path.join(folder, "message.opus")], input=np.concatenate(sound).tobytes(), check=True)


if __name__ == "__main__":
    main(sys.argv[1])
