"""The test set: lines and pages drawn with fonts, texts and layouts that training never saw, from a fixed seed.

    python3 testset.py FOLDER [--seed 2026] [--lines 500] [--pages 20]

writes FOLDER/clean-000.png, noisy-000.png (the same lines spoiled), page-00.png and truth.jsonl ({"file", "kind", "text"}).
Fonts: fonts.TEST_FOLDERS. Texts: Debian's fortune cookies in four languages, a few French, Portuguese and Dutch sentences
written for this file, and figures made by the small generators below (not those of texts.py).
"""
import argparse
import glob
import io
import json
import os
import random
import re
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
import fonts
from texts import KNOWN, read

COOKIES = {"en": ("art", "literature", "people", "science", "wisdom", "work", "law", "medicine", "food", "sports", "platitudes", "politics", "education", "pets"),
           "de": ("zitate", "sprueche", "tips", "regeln", "wusstensie"), "es": ("filosofia.fortunes", "proverbios.fortunes", "ciencia.fortunes", "vida.fortunes"),
           "it": ("leggi", "definizioni", "adams")}
OWN = ("Le marché ouvre à huit heures, même pendant les fêtes d'été.", "Où avez-vous rangé la clé du grenier ?", "Ça coûte très cher, mais le goût est délicieux.",
       "L'élève a reçu une bonne note grâce à son œuvre.", "Nous préférons dîner près de la fenêtre.", "Hélène a oublié son sac à l'hôtel de la forêt.",
       "A estação fica a dois minutos daqui, à direita.", "Não há pão nem maçãs na mesa da avó.", "O avião só chega amanhã às três da tarde.",
       "De trein naar Utrecht vertrekt om kwart over zeven.", "Zij heeft één kopje koffie en twee broodjes besteld.", "Het regent, dus wij blijven vandaag binnen.")
GOODS = ("Croissant beurre", "Flat white", "Pane integrale", "Apfelstrudel", "Orange juice 1L", "Olive oil", "Jamón ibérico", "Käsebrötchen", "Crème brûlée", "Green tea",
         "Spaghetti", "Tomatoes", "Queso fresco", "Batteries AA", "Notebook A5", "Umbrella", "Shampoo", "Dish soap", "Light bulb", "Paper towels", "Yoghurt", "Bananas")
PEOPLE = ("Margaret Oyelaran", "Jürgen Weiß", "Chloé Lefèvre", "Íñigo Muñoz", "Anna Kowalski", "Søren Holm", "Beatrice Conti", "Thomas Ashworth")
PLACES = ("14 Harbour View, Bristol BS1 4QA", "Lindenallee 27, 50968 Köln", "3, place du Théâtre, 21000 Dijon", "Calle Mayor 8, 28013 Madrid", "Via Garibaldi 51, 10122 Torino")


def cookies():
    """{language: sentences or short paragraphs}"""
    found = {}
    for language, names in COOKIES.items():
        folder = "/usr/share/games/fortunes/" + ("" if language == "en" else language + "/")
        items = []
        for name in names:
            for item in read(folder + name + ".u8").split("\n%\n"):
                item = " ".join(re.sub(r"\n\s+--.*", "", item, flags=re.S).replace("\t", " ").split())
                if 20 < len(item) < 700 and KNOWN.issuperset(item) and "_" not in item and "\\" not in item:
                    items.append(item)
        found[language] = items
    return found


def money(r, top=300):
    return f"{r.randrange(top)}.{r.randrange(100):02}"


def figures(r):
    y = r.randrange(1990, 2031)
    return r.choice((lambda: f"{r.randrange(1, 9)} {r.choice(GOODS)} {money(r, 40)}", lambda: f"Invoice {r.randrange(10 ** 6):06} - {r.randrange(1, 29)} March {y}",
                     lambda: f"Total due: {r.choice(('EUR', '£', '$', '€'))} {money(r, 2000)}", lambda: f"{r.choice(PEOPLE)}, {r.choice(PLACES)}",
                     lambda: f"{r.choice(PEOPLE).split()[0].lower().encode('ascii', 'ignore').decode()}@{r.choice(('harbour', 'example', 'lindenhof', 'casa-verde'))}.{r.choice(('com', 'de', 'org'))}",
                     lambda: f"Ref. {r.choice('ABKXZ')}{r.randrange(100, 999)}/{y % 100:02} (page {r.randrange(1, 9)} of {r.randrange(9, 20)})",
                     lambda: f"Open Mon-Fri {r.randrange(7, 10)}:30 - {r.randrange(16, 20)}:00, Sat {r.randrange(9, 11)}-13", lambda: f"VAT {r.choice((7, 19, 20, 21))}% incl. {money(r)}   Net {money(r)}",
                     lambda: f"{r.randrange(1, 28):02}/{r.randrange(1, 13):02}/{y} {r.randrange(24):02}:{r.randrange(60):02} Till {r.randrange(1, 9)} Op. {r.randrange(100, 999)}",
                     lambda: f"Tel. +44 {r.randrange(20, 29)} {r.randrange(1000, 9999)} {r.randrange(1000, 9999)}", lambda: f"IBAN DE{r.randrange(10, 99)} {r.randrange(1000, 9999)} {r.randrange(1000, 9999)} {r.randrange(1000, 9999)}"))()


class Texts:
    def __init__(self):
        self.cookies = cookies()

    def paragraph(self, r):
        language = r.choices(("en", "de", "es", "it"), (6, 1.3, 1, 1))[0]
        return r.choice(self.cookies[language])

    def line(self, r):
        """Running text 65 %, figures 25 %, sentences of OWN 10 %; 1 to 12 words."""
        k = r.random()
        if k < .25:
            return " ".join(figures(r).split())
        words = (r.choice(OWN) if k < .35 else self.paragraph(r)).split()
        n = min(len(words), r.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12)))
        at = r.randrange(len(words) - n + 1)
        return " ".join(words[at:at + n])


class Faces:
    """A held-out face that has all the characters of a text."""

    def __init__(self):
        self.families = {k: v for k, v in sorted(fonts.families(fonts.TEST_FOLDERS).items())}
        grouped = {}
        for (folder, _), files in self.families.items():
            grouped.setdefault(folder, []).extend(files)
        self.folders = list(grouped.values())

    def choose(self, r, text="", upright=False):
        while True:
            path, chars = r.choice(r.choice(self.folders))
            name = os.path.basename(path)
            if any(k in name for k in ("_K", "_I.", "Initial", "_S", "Shadow")):   # pictures of keys, ornaments
                continue
            if upright and any(k in name for k in ("Italic", "Oblique", "PTS56", "PTF56", "_RI", "_RBI", "Thin", "ExtraLight")):
                continue
            if chars.issuperset(map(ord, text.replace("\n", " "))):
                return path


def colours(r, strong=True):
    """Paper and ink; the difference in brightness is at least 110 (or 70)."""
    while True:
        paper = tuple(r.randrange(200, 256) for _ in range(3)) if r.random() < .75 else tuple(r.randrange(130, 256) for _ in range(3))
        ink = tuple(r.randrange(0, 110) for _ in range(3)) if r.random() < .5 else (r.randrange(0, 50),) * 3
        light = lambda c: .3 * c[0] + .59 * c[1] + .11 * c[2]
        if light(paper) - light(ink) >= (110 if strong else 70):
            return (ink, paper) if r.random() < .08 else (paper, ink)


def draw_line(r, text, path, paper, ink):
    size = r.randrange(12, 41)
    font = ImageFont.truetype(path, size)
    x0, y0, x1, y1 = font.getbbox(text)
    pad = [r.randrange(4, 24) for _ in range(4)]
    im = Image.new("RGB", (x1 - x0 + pad[0] + pad[1], y1 - y0 + pad[2] + pad[3]), paper)
    ImageDraw.Draw(im).text((pad[0] - x0, pad[2] - y0), text, font=font, fill=ink)
    return im, size


def spoiled(r, im, size, paper):
    """Scanned or photographed: at least two things go wrong."""
    if r.random() < .5:
        w, h = im.size
        x, y = np.meshgrid(np.linspace(0, 1, w), np.linspace(0, 1, h))
        shade = 1 + r.uniform(-.2, .2) * x + r.uniform(-.15, .15) * y
        im = Image.fromarray((np.asarray(im) * shade[..., None]).clip(0, 255).astype(np.uint8))
    if r.random() < .5:
        im = im.rotate(r.uniform(-1.5, 1.5), resample=Image.BICUBIC, expand=True, fillcolor=paper)
    elif r.random() < .4:
        w, h = im.size
        j = lambda: r.uniform(-.04, .04) * min(w, 4 * h)
        im = im.transform((w, h), Image.QUAD, (j(), j(), j(), h + j(), w + j(), h + j(), w + j(), j()), Image.BICUBIC, fillcolor=paper)
    if r.random() < .15:
        d, y = ImageDraw.Draw(im), im.size[1] - r.randrange(2, 5)
        d.line((0, y, im.size[0], y), fill=tuple(c // 2 for c in paper), width=1)
    if r.random() < .6:
        im = im.filter(ImageFilter.GaussianBlur(r.uniform(.3, 1.) * max(.6, size / 26)))
    noise = np.random.default_rng(r.getrandbits(32)).normal(0, r.uniform(3, 14), (im.size[1], im.size[0], 1 if r.random() < .5 else 3))
    im = Image.fromarray((np.asarray(im) + noise).clip(0, 255).astype(np.uint8))
    if r.random() < .6:
        packed = io.BytesIO()
        im.save(packed, "JPEG", quality=r.randrange(30, 80))
        im = Image.open(packed).convert("RGB")
    return im


class Sheet:
    """A page that is written from top to bottom."""

    def __init__(self, r, width, height, paper, ink):
        self.r, self.im, self.ink, self.y, self.truth = r, Image.new("RGB", (width, height), paper), ink, 0, []
        self.pen = ImageDraw.Draw(self.im)

    def put(self, x, text, font, right=None):
        if right is not None:
            x = right - font.getlength(text)
        self.pen.text((x, self.y), text, font=font, fill=self.ink, anchor="ls")

    def wrap(self, text, font, width):
        lines, line = [], ""
        for w in text.split():
            if line and font.getlength(line + " " + w) > width:
                lines.append(line)
                line = w
            else:
                line = (line + " " + w).strip()
        return lines + [line] if line else lines

    def paragraph(self, text, font, x, width, pitch, limit):
        for line in self.wrap(text, font, width):
            if self.y + pitch > limit:
                return
            self.y += pitch
            self.put(x, line, font)
            self.truth.append(line)


def letter(r, texts, faces, paper, ink):
    size = r.randrange(16, 27)
    face = faces.choose(r, "".join(PEOPLE + PLACES), upright=True)
    font = ImageFont.truetype(face, size)
    s = Sheet(r, size * r.randrange(34, 46), size * r.randrange(38, 52), paper, ink)
    m, pitch = int(size * 2.5), int(size * r.uniform(1.25, 1.6))
    width, bottom = s.im.size[0] - 2 * m, s.im.size[1] - m
    s.y = m
    for line in (r.choice(PEOPLE), r.choice(PLACES), "", f"{r.randrange(1, 29)} October {r.randrange(1995, 2027)}", "", "Dear " + r.choice(PEOPLE).split()[0] + ",", ""):
        s.y += pitch
        if line:
            s.put(m, line, font)
            s.truth.append(line)
    chars = dict(faces.families and sum(faces.families.values(), []))[face]
    while s.y < bottom - 5 * pitch:
        text = texts.paragraph(r)
        if chars.issuperset(map(ord, text)):
            s.paragraph(text, font, m, width, pitch, bottom - 3 * pitch)
            s.y += pitch // 2
        if r.random() < .1:
            break
    for line in ("Yours sincerely,", r.choice(PEOPLE)):
        s.y += int(1.4 * pitch)
        s.put(m, line, font)
        s.truth.append(line)
    return s, size


def article(r, texts, faces, paper, ink):
    """A title over two columns."""
    size = r.randrange(15, 23)
    face = faces.choose(r, upright=True)
    chars = dict(sum(faces.families.values(), []))[face]
    font, big = ImageFont.truetype(face, size), ImageFont.truetype(face, int(size * 1.8))
    s = Sheet(r, size * r.randrange(52, 64), size * r.randrange(36, 48), paper, ink)
    m, gap, pitch = 2 * size, int(size * r.uniform(1.8, 3)), int(size * r.uniform(1.2, 1.45))
    column, bottom = (s.im.size[0] - 2 * m - gap) // 2, s.im.size[1] - m
    s.y = m
    title = r.choice(("Notes on the harbour and its people", "A short history of the north wind", "Was die Nachbarn sagen", "Pequeñas verdades"))
    s.y += int(1.6 * size)
    s.put(m, title, big)
    s.truth.append(title)
    top = s.y + 2 * size
    for c in range(2):
        s.y = top
        while s.y < bottom - 2 * pitch:
            text = texts.paragraph(r)
            if chars.issuperset(map(ord, text)) and len(text) > 120:
                s.paragraph(text, font, m + c * (column + gap), column, pitch, bottom)
                s.y += pitch // 3
    return s, size


def receipt(r, texts, faces, paper, ink):
    size = r.randrange(16, 30)
    face = faces.choose(r, "".join(GOODS + PLACES) + "€£", upright=True)
    font, big = ImageFont.truetype(face, size), ImageFont.truetype(face, int(size * 1.4))
    s = Sheet(r, size * r.randrange(22, 30), size * 60, paper, ink)
    m, pitch, right = int(1.2 * size), int(size * r.uniform(1.25, 1.6)), s.im.size[0] - int(1.2 * size)
    s.y = m + size

    def row(left, amount=None, f=font, step=1.0):
        s.y += int(step * pitch)
        s.put(m, left, f)
        if amount:
            s.put(0, amount, f, right=right)
        s.truth.append(left + (" " + amount if amount else ""))
    row(r.choice(("CORNER SHOP", "Café Central", "MERCADO SOL", "Stadtbäckerei")), f=big)
    for part in r.choice(PLACES).split(", "):
        row(part)
    row(f"{r.randrange(1, 29):02}.{r.randrange(1, 13):02}.{r.randrange(2015, 2030)}", f"{r.randrange(24):02}:{r.randrange(60):02}", step=1.5)
    total = 0
    if r.random() < .5:
        s.pen.line((m, s.y + size // 2, right, s.y + size // 2), fill=ink, width=2)
    s.y += size // 2
    for _ in range(r.randrange(5, 12)):
        price, n = r.randrange(50, 3000), r.randrange(1, 4)
        row((f"{n} x " if n > 1 else "") + r.choice(GOODS), f"{n * price / 100:.2f}")
        total += n * price
    if r.random() < .5:
        s.pen.line((m, s.y + size // 2, right, s.y + size // 2), fill=ink, width=1)
    row("TOTAL", f"{r.choice('€£$')}{total / 100:.2f}", f=big, step=1.7)
    row("VAT 19%", f"{total / 11900 * 19:.2f}")
    row("Card payment", f"{total / 100:.2f}")
    row(f"Receipt no. {r.randrange(10 ** 5, 10 ** 6)}", step=1.6)
    row(r.choice(("Thank you for your visit!", "Vielen Dank für Ihren Einkauf!", "Merci et à bientôt !")))
    s.im = s.im.crop((0, 0, s.im.size[0], min(s.im.size[1], s.y + m)))
    return s, size


def table(r, texts, faces, paper, ink):
    """An invoice with ruled rows."""
    size = r.randrange(15, 24)
    face = faces.choose(r, "".join(GOODS + PEOPLE + PLACES), upright=True)
    font, big = ImageFont.truetype(face, size), ImageFont.truetype(face, int(1.7 * size))
    s = Sheet(r, size * r.randrange(40, 52), size * r.randrange(34, 44), paper, ink)
    m, pitch = 2 * size, int(size * r.uniform(1.7, 2))
    edges = (m + size * 22, s.im.size[0] - m)
    s.y = m + 2 * size

    def row(*cells, f=font, rule=False):
        s.y += pitch
        s.put(m + (size // 2 if rule else 0), cells[0], f)
        for c, end in zip(cells[1:], edges):
            s.put(0, c, f, right=end - size // 2)
        if rule:
            s.pen.line((m, s.y + int(.55 * size), edges[1], s.y + int(.55 * size)), fill=tuple((a + b) // 2 for a, b in zip(paper, ink)), width=1)
        s.truth.append(" ".join(c for c in cells if c))
    row("INVOICE", f=big)
    row(r.choice(PEOPLE))
    row(r.choice(PLACES))
    row(f"Invoice number {r.randrange(1000, 9999)}-{r.randrange(10, 99)}")
    s.y += pitch
    row("Description", "Qty", "Amount", rule=True)
    for _ in range(r.randrange(5, 10)):
        row(r.choice(GOODS), str(r.randrange(1, 30)), money(r, 900), rule=True)
    row("Total", "", money(r, 3000))
    row("Payable within 30 days without deduction.")
    s.im = s.im.crop((0, 0, s.im.size[0], min(s.im.size[1], s.y + m)))
    return s, size


def page(r, texts, faces, number):
    paper, ink = colours(r)
    make = (letter, article, receipt, table)[number % 4]
    s, size = make(r, texts, faces, paper, ink)
    im = s.im
    if number % 8 >= 4:                                              # every second of each kind is a bad scan
        im = im.rotate(r.uniform(-2.5, 2.5), resample=Image.BICUBIC, expand=True, fillcolor=paper)
        im = im.filter(ImageFilter.GaussianBlur(r.uniform(.2, .8)))
        w, h = im.size
        shade = 1 + r.uniform(-.15, .15) * np.linspace(0, 1, w)[None, :, None] + r.uniform(-.15, .15) * np.linspace(0, 1, h)[:, None, None]
        noise = np.random.default_rng(r.getrandbits(32)).normal(0, r.uniform(3, 10), (h, w, 1))
        im = Image.fromarray((np.asarray(im) * shade + noise).clip(0, 255).astype(np.uint8))
        packed = io.BytesIO()
        im.save(packed, "JPEG", quality=r.randrange(40, 80))
        im = Image.open(packed).convert("RGB")
    return im, "\n".join(s.truth)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("folder")
    args.add_argument("--seed", type=int, default=2026)
    args.add_argument("--lines", type=int, default=500)
    args.add_argument("--pages", type=int, default=20)
    args = args.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    r, texts, faces = random.Random(args.seed), Texts(), Faces()
    with open(os.path.join(args.folder, "truth.jsonl"), "w", encoding="utf-8") as truth:
        def keep(name, kind, im, text):
            im.save(os.path.join(args.folder, name))
            truth.write(json.dumps({"file": name, "kind": kind, "text": text}, ensure_ascii=False) + "\n")
        for i in range(args.lines):
            text = texts.line(r)
            paper, ink = colours(r)
            path = faces.choose(r, text)
            im, size = draw_line(r, text, path, paper, ink)
            keep(f"clean-{i:03}.png", "clean", im, text)
            keep(f"noisy-{i:03}.png", "noisy", spoiled(r, im, size, paper), text)
        for i in range(args.pages):
            keep(f"page-{i:02}.png", "page", *page(r, texts, faces, i))


if __name__ == "__main__":
    main()
