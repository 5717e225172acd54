"""Programs that speak the protocol of `mtmd bench --on-request`, sampled in turns so that whatever the machine does happens to all of them."""
import json
import os
import statistics
import subprocess
import sys


class Worker:
    def __init__(self, name, command, environment):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        hello = self.read()
        self.what, self.tests, self.tokens = hello["ready"], hello["tests"], hello.get("tokens")

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with status {self.process.wait()}")
        return json.loads(line)

    def sample(self, name):
        self.process.stdin.write(f"{self.tests.index(name)}\n")
        self.process.stdin.flush()
        return self.read()["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(workers, tests, rounds, warmup):
    """Seconds by (worker, test); every other round in the opposite order. The workers are closed."""
    samples = {(w.name, t): [] for w in workers for t in tests}
    for r in range(-warmup, rounds):
        for t in tests:
            for w in workers if r % 2 == 0 else workers[::-1]:
                seconds = w.sample(t)
                if r >= 0:
                    samples[w.name, t].append(seconds)
    for w in workers:
        w.close()
    return samples


def quartiles(values):
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def finish(rows, path):
    """What the programs are, on stderr; every sample, into the file when one is named."""
    for program in rows[0]["programs"]:
        print(f"{program['program']}: {program['what']}", file=sys.stderr)
    if path:
        with open(path, "w") as f:
            json.dump(rows, f, indent=1)
