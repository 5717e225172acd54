"""What the training voices say: sentences of installed English documents and dictionaries, and generated ones with numbers, names, times.

Everything is written as it is spoken: no digits, no signs but , . ? ! ' and the hyphen. One sentence in HOLD_OUT (by a hash of its
words) is never trained on; speech_testset.py draws from those.
"""
import glob
import re
import zlib
import texts

HOLD_OUT = 25
WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
CLEAN = re.compile(r"[A-Za-z][A-Za-z ,.'?!-]*$")
LONGEST = 120


def held_out(sentence):
    return zlib.crc32(" ".join(WORD.findall(sentence)).lower().encode()) % HOLD_OUT == 0


def wordnet():
    """The example phrases and the definitions of WordNet."""
    for path in sorted(glob.glob("/usr/share/wordnet/data.*")):
        for line in texts.read(path).splitlines():
            gloss = line.partition(" | ")[2]
            yield from re.findall(r'"([^"]+)"', gloss)
            yield from (part for part in gloss.split(";") if '"' not in part)


def documents():
    """Running text of installed documents, markup dropped."""
    for pattern in ("/usr/share/doc/anarchism/html/*.html", "/usr/share/help/C/*/*.page", "/usr/share/doc/debian-handbook/html/en-US/*.html",
                    "/usr/share/doc/debian/FAQ/*.en.html", "/usr/share/doc/installation-guide-amd64/en/*.html"):
        for path in sorted(glob.glob(pattern)):
            page = re.sub(r"(?s)<(script|style|pre|title)\b.*?</\1>|<!--.*?-->", " ", texts.read(path))
            yield re.sub(r"<[^>]*>", " ", re.sub(r"</(p|li|h\d|div|td|dd|dt)>", " . ", page)).replace("&#39;", "'").replace("’", "'")
    for path in sorted(glob.glob("/usr/share/man/man[1-8]/*.gz"))[:900]:
        yield texts.plain_roff(texts.read(path))
    for path in sorted(glob.glob("/usr/share/perl/5*/pod/*.pod"))[:160]:
        yield re.sub(r"[A-Z]<+ *([^<>]*?) *>+", r"\1", texts.read(path))


def proper(sentence):
    """As a transcript has it: a capital first, a full stop last."""
    s = " ".join(sentence.replace(";", ",").replace(":", ",").replace(" ,", ",").split()).strip(" ,-'")
    s = s[:1].upper() + s[1:]
    return s if s.endswith((".", "?", "!")) else s + "."


def sentences(words):
    """-> sentences whose words are all of the dictionary `words`, without repetition."""
    seen = {}
    known = lambda w: w in words or w.lower() in words or (w.endswith("'s") and w[:-2] in words)
    def add(raw):
        s = proper(raw)
        found = WORD.findall(s)
        if not 2 <= len(found) <= 20 or len(s) > LONGEST or not CLEAN.match(s) or re.search(r"[.,?!'-]{2}|[.?!] ", s):
            return
        if any(len(w) == 1 and w not in "aIA" for w in found) or not all(all(map(known, w.split("-"))) for w in found):
            return
        if sum(w.isupper() and len(w) > 1 for w in found) == 0:
            seen.setdefault(s.lower(), s)
    for example in wordnet():
        add(example)
    for document in documents():
        for s in re.split(r"(?<=[.?!])\s+", " ".join(document.split())):
            add(s)
    return list(seen.values())


ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen").split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth "
            "eighteenth nineteenth twentieth thirtieth").split()
NAMES = ("James Mary John Susan Robert Linda David Sarah Peter Karen Michael Nancy Thomas Lisa Daniel Anna Paul Emma Mark Laura George Julia Simon Helen Andrew "
         "Alice Frank Martin Rachel Kevin Sophie Henry Grace Oliver Lucy Smith Jones Taylor Brown Wilson Walker White Green Hall Clark Baker Carter Turner").split()
PLACES = ("London Paris Berlin Rome Madrid Boston Chicago Dublin Oxford Cambridge Bristol Manchester Edinburgh Glasgow Vienna Amsterdam Sydney Toronto Texas "
          "England Scotland Ireland Germany France Italy Spain America Canada Australia India China Japan").split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
THINGS = ("the report|the meeting|the invoice|the train|the garden|the kitchen|the office|my sister|my brother|your order|our house|the doctor|the letter|the weather|dinner|"
          "lunch|coffee|the bus|the window|the project|the budget|the team|the customer|the phone|the computer|the contract|the children|the car|the key|the price|this room|"
          "the school|the hospital|the station|the airport|the ticket|the book|the music|the water|the door|the street|the river|the market|the manager|the answer").split("|")
PEOPLE = "I|you|we|they|he|she|my friend|the teacher|everybody|the man|the woman|our neighbour|the boss|the driver|the people".split("|")
VERBS = ("called about|asked for|forgot|talked about|looked at|waited for|paid for|found|lost|liked|wanted|sent|opened|closed|changed|checked|remembered|finished|started|moved|"
         "cleaned|saw|needed|understood|wrote about|heard about|left|bought|sold|broke|fixed|cancelled").split("|")
STARTS = ("Please|Could you please|Do not forget to|We have to|I would like to|Let us|You should|They want to|Remember to|It is time to|Can you|I need to|Try to|We want to").split("|")
ACTIONS = ("call {n}|send {t} to {n}|meet {n} on {d}|go to {p}|look at {t}|pay {c} for {t}|bring {t}|wait for {n} until {h}|buy {q} apples|read page {q}|turn left after {q} miles|"
           "write to {n} before {d}|close {t} at {h}|check {t} again|come back in {m}|drive to {p} with {n}|ask {n} about {t}|move {t} to {d}").split("|")
FACTS = ("The {o} of {m} is a {d}|{t} costs {c}|{n} lives in {p}|{n} was born in {m}|It is {h} now|{t} starts at {h} on {d}|There are {q} people in {p}|The number is {k}|"
         "The flight to {p} leaves at {h}|{t} is {q} years old|We sold {q} of them in {m}|{n} and {n} are from {p}|The temperature is {q} degrees|The code is {k}|"
         "It will rain in {p} on {d}|{u} {v} {t} on {d}|{u} {v} {t}|{u} {v} {t} and {u} {v} {t}|When {u} {v} {t}, {u} {v} {t}|{u} {v} {t} because {u} {v} {t}|"
         "Why has {n} not come to {p}?|Where is {t}?|Who {v} {t}?|How much is {t}?|What did {n} say about {t}?|Is {t} ready?|Did {n} call on {d}?").split("|")


def number(r, top):
    n = r.randrange(top)
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + ("-" + ONES[n % 10] if n % 10 else "")
    if n < 1000:
        return ONES[n // 100] + " hundred" + (" and " + small(n % 100) if n % 100 else "")
    return small(n // 1000) + " thousand" + (" " + small(n % 1000) if n % 1000 else "")


def small(n):
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + ("-" + ONES[n % 10] if n % 10 else "")
    return ONES[n // 100] + " hundred" + (" and " + small(n % 100) if n % 100 else "")


def hour(r):
    h, style = ONES[r.randrange(1, 13)], r.random()
    if style < .4:
        return h + " o'clock"
    if style < .7:
        return r.choice(("half past ", "quarter past ", "quarter to ", "ten past ", "twenty to ", "five past ")) + h
    return h + " " + small(r.randrange(10, 60)) + r.choice(("", " in the morning", " in the evening"))


def generated(r):
    form = r.choice(STARTS) + " " + r.choice(ACTIONS) if r.random() < .35 else r.choice(FACTS)
    fill = {"n": lambda: r.choice(NAMES), "p": lambda: r.choice(PLACES), "d": lambda: r.choice(DAYS), "m": lambda: r.choice(MONTHS), "t": lambda: r.choice(THINGS),
            "c": lambda: number(r, r.choice((20, 100, 1000, 10000))) + r.choice((" dollars", " pounds", " euros")), "h": lambda: hour(r), "o": lambda: r.choice(ORDINALS),
            "q": lambda: number(r, r.choice((20, 100, 1000))), "k": lambda: " ".join(r.choice(ONES[:10]) for _ in range(r.randrange(3, 8))),
            "u": lambda: r.choice(PEOPLE), "v": lambda: r.choice(VERBS)}
    return proper(re.sub(r"{(\w)}", lambda m: fill[m[1]](), form))


class SpeechTexts:
    def __init__(self):
        self.words = [w for name in ("american-english", "british-english") for w in texts.read("/usr/share/dict/" + name).split() if w.isascii() and len(w) <= 14]
        everything = sentences(set(self.words))
        self.prose = [s for s in everything if not held_out(s)]
        self.test = [s for s in everything if held_out(s)]
        self.words = [w for w in self.words if w.isalpha() and len(w) > 1 and not w[1:].isupper() and not w.isupper()]

    def sentence(self, r, most):
        """A sentence of at most `most` words, or a piece of one: documents 70 %, generated 20 %, words of the dictionary 10 %."""
        while True:
            k = r.random()
            if k < .1:
                return proper(" ".join(r.choice(self.words) for _ in range(r.randrange(1, min(most, 7) + 1))))
            s = generated(r) if k < .3 else r.choice(self.prose)
            parts = s.split()
            if len(parts) > most:
                if most > 8 and r.random() < .7:
                    continue
                at = r.randrange(len(parts) - most + 1)
                s = proper(" ".join(parts[at:at + most]).rstrip(",.?!-"))
            if not held_out(s):
                return s


if __name__ == "__main__":
    import random
    import time
    t = time.time()
    made, r = SpeechTexts(), random.Random(2)
    print(len(made.prose), "sentences,", len(made.test), "held out,", len(made.words), "words,", time.time() - t, "s")
    for most in (2, 6, 20):
        for _ in range(12):
            print(made.sentence(r, most))
    for _ in range(20):
        print("   ", r.choice(made.test))
