"""The texts of training: running text and words that are installed on the machine, and generators of figures, prices, addresses…

Everything comes from Debian packages (dictionaries, manual pages in eleven languages, package documentation) or from a random
generator; nothing is downloaded as data. `evaluate.py` uses other sources.
"""
import glob
import gzip
import re
import string

LATIN = ("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœ" "€£°§«»„“”‘’–—…•¿¡×½©®²³µ·")
PRINTABLE = "".join(map(chr, range(32, 127)))
CHARSET = PRINTABLE + LATIN
KNOWN = set(CHARSET)

LANGUAGES = ("fr", "de", "es", "it", "nl", "da", "pt_BR", "pt", "sv")


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="ignore") as file:
            return file.read()
    except (OSError, EOFError):
        return ""


def plain_roff(source):
    """The prose of a manual page: macros and font changes dropped."""
    lines = []
    for line in source.splitlines():
        if line.startswith((".", "'")):
            parts = line.split(None, 1)
            if parts[0] in (".B", ".I", ".BR", ".IR", ".SH", ".SS", ".RB", ".RI") and len(parts) > 1:
                line = parts[1].replace('"', "")
            else:
                continue
        line = re.sub(r"\\f(\[[A-Z]*\]|\([A-Z]{2}|[A-Z0-9])", "", line)
        line = re.sub(r"\\(?:\(|\[)?(?:aq|oq|cq|dq)\]?", "'", line)
        line = line.replace("\\-", "-").replace("\\&", "").replace("\\ ", " ").replace("\\e", "\\").replace("\\(lq", "“").replace("\\(rq", "”")
        if "\\" not in line:
            lines.append(line)
    return " ".join(lines)


def running_text():
    """{language: [word, word, …]} long lists of words in their order, punctuation attached."""
    found = {}
    for language in LANGUAGES:
        pages = sorted(glob.glob(f"/usr/share/man/{language}/man*/*.gz"))
        found[language] = " ".join(plain_roff(read(p)) for p in pages[:700]).split()
    english = [plain_roff(read(p)) for p in sorted(glob.glob("/usr/share/man/man[1-8]/*.gz"))[:900]]
    english += [read(p) for p in sorted(glob.glob("/usr/share/perl/5*/pod/*.pod"))[:160]]
    english += [read(p) for p in sorted(glob.glob("/usr/share/doc/*/copyright"))[:250]]
    english += [read(p) for p in glob.glob("/usr/share/common-licenses/*")]
    english += [re.sub(r"<[^>]*>|&[a-z]*;", " ", read(p)) for p in glob.glob("/usr/share/doc/debian/FAQ/*.en.html")]
    found["en"] = " ".join(english).split()
    return {k: [w for w in words if len(w) <= 26 and KNOWN.issuperset(w)] for k, words in found.items()}


def dictionaries():
    """Lists of words, one per installed dictionary."""
    lists = []
    for name in ("american-english", "british-english", "french", "ngerman", "italian", "spanish", "portuguese", "dutch", "danish",
                 "swedish", "bokmaal"):
        words = [w for w in read("/usr/share/dict/" + name).split() if KNOWN.issuperset(w) and len(w) <= 20]
        if words:
            lists.append(words)
    return lists


def digits(r, n):
    """Digits with more runs than chance makes: readers drop one of 000 or 99 easily."""
    out = ""
    for _ in range(n):
        out += out[-1] if out and r.random() < .15 else r.choice(string.digits)
    return out


def capitals(r, n):
    return "".join(r.choices(string.ascii_uppercase, k=n))


def amount(r):
    whole = r.randrange(10 ** r.choice((1, 2, 2, 3, 3, 4, 5)))
    cents = r.choice((r.randrange(100), r.choice((0, 5, 50, 90, 95, 99))))
    style = r.random()
    if style < .5:
        return f"{whole}.{cents:02}"
    if style < .8:
        return f"{whole},{cents:02}"
    return f"{whole:,}.{cents:02}" if style < .9 else f"{whole:,}".replace(",", ".") + f",{cents:02}"


def price(r):
    value, style = amount(r), r.random()
    sign = r.choice("€€€$$££")
    if style < .3:
        return sign + value
    if style < .5:
        return f"{value} {sign}"
    if style < .6:
        return f"{value}{sign}"
    if style < .75:
        return f"{r.choice(('EUR', 'USD', 'GBP', 'CHF', 'SEK', 'DKK', 'kr', 'Fr.'))} {value}"
    return f"{value} {r.choice(('EUR', 'USD', 'GBP', 'CHF', 'kr', 'A', 'B', 'CR'))}" if style < .85 else ("-" if r.random() < .3 else "") + value


MONTHS = ("January February March April May June July August September October November December Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec "
          "janvier février mars avril mai juin juillet août septembre octobre novembre décembre Januar Februar März Mai Juni Juli Oktober "
          "Dezember enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre gennaio febbraio maggio giugno "
          "luglio settembre ottobre dicembre januari maart augustus maj oktober").split()


def date(r):
    d, m, y = r.randrange(1, 32), r.randrange(1, 13), r.randrange(1900, 2040)
    sep = r.choice("./-")
    return r.choice((f"{d:02}{sep}{m:02}{sep}{y}", f"{y}-{m:02}-{d:02}", f"{m}/{d}/{y % 100:02}", f"{d}.{m}.{y}", f"{d} {r.choice(MONTHS)} {y}",
                     f"{r.choice(MONTHS)} {d}, {y}", f"{d}. {r.choice(MONTHS)} {y}", f"{d:02}{sep}{m:02}{sep}{y % 100:02}"))


def clock(r):
    h, m, s = r.randrange(24), r.randrange(60), r.randrange(60)
    return r.choice((f"{h:02}:{m:02}", f"{h}:{m:02}", f"{h:02}:{m:02}:{s:02}", f"{h % 12 + 1}:{m:02} {r.choice(('AM', 'PM', 'am', 'pm'))}", f"{h}h{m:02}"))


def phone(r):
    return r.choice((f"+{r.randrange(1, 99)} {digits(r, 2)} {digits(r, 3)} {digits(r, 4)}", f"({digits(r, 3)}) {digits(r, 3)}-{digits(r, 4)}",
                     f"0{digits(r, 2)}/{digits(r, 6)}", f"0{digits(r, 1)} {digits(r, 2)} {digits(r, 2)} {digits(r, 2)} {digits(r, 2)}",
                     f"0{digits(r, 3)}-{digits(r, 6)}"))


def code(r):
    return r.choice((f"{capitals(r, r.randrange(1, 5))}-{digits(r, r.randrange(2, 7))}", f"{capitals(r, 2)}{digits(r, r.randrange(2, 9))}", "#" + digits(r, r.randrange(2, 8)),
                     f"{digits(r, 4)} {digits(r, 4)} {digits(r, 4)}", f"**** {digits(r, 4)}", digits(r, r.randrange(1, 14)),
                     "".join(r.choices("0123456789abcdef", k=r.choice((6, 8, 12)))), f"{capitals(r, 2)}{digits(r, 2)} {digits(r, 4)} {digits(r, 4)}",
                     f"{digits(r, 2)}.{digits(r, 3)}.{digits(r, 3)}", f"v{r.randrange(12)}.{r.randrange(30)}.{r.randrange(10)}",
                     f"{digits(r, 3)}-{digits(r, 2)}-{digits(r, 4)}", f"{digits(r, 5)}/{digits(r, 4)}", f"{digits(r, 1)}-{digits(r, 4)}-{digits(r, 4)}-{digits(r, 1)}"))


def quantity(r):
    n = r.randrange(1, 1000)
    return r.choice((f"{r.randrange(1, 20)} x {amount(r)}", f"{n} {r.choice(('kg', 'g', 'ml', 'l', 'm', 'cm', 'mm', 'km', 'pcs', 'h', 'min', 'kWh', 'GB', 'MB', '°C', 'm²', 'kB/s'))}",
                     f"{n}%", f"{r.randrange(100)}.{r.randrange(10)} %", f"{r.randrange(1, 30)}x", f"({n})", f"[{n}]", f"{n}/{r.randrange(1, 1000)}", f"-{n}", f"+{n}",
                     f"{r.randrange(10)},{r.randrange(1000):03} {r.choice(('kg', 'l'))}", f"{n} × {r.randrange(1, 500)}", f"{n}.", f"{n})", f"No. {n}", f"§ {n}", f"p. {n}", f"~{n}", f"<{n}", f">{n}", f"= {n}"))


LABELS = ("Total Subtotal Tax VAT Qty Quantity Invoice Date Item Cash Change No. Ref Tel Fax Page Amount Due Balance Receipt Order Customer Price Unit Discount Card Visa "
          "Table Server Tip Paid Account Sum Summe MwSt. Rechnung Datum Betrag Menge Kasse Bar Gesamt Netto Brutto Steuer Kunde Telefon Seite Facture Montant TVA Prix Quantité "
          "Client Payé Espèces Rendu Ticket Caisse Factura Fecha Importe Cantidad IVA Cliente Efectivo Cambio Totale Fattura Data Prezzo Scontrino Resto Contanti Totaal "
          "Bedrag BTW Factuur Datum Prijs Aantal Fatura Valor Moms Kvittering Beløb Antal Pris Summa Kvitto Belopp Address City Zip Street Name Phone Email Signature").split()


def label(r):
    text = r.choice(LABELS)
    text = text.upper() if r.random() < .35 else text
    return text + r.choice((":", ":", "", "", ".", " :", " #", " -"))


class Texts:
    def __init__(self):
        self.running, self.words = running_text(), dictionaries()
        self.languages = list(self.running)
        self.weights = [8 if k == "en" else 1 for k in self.languages]

    def word(self, r):
        words = self.words[0] if r.random() < .4 else r.choice(self.words)
        w, k = r.choice(words), r.random()
        for _ in range(4 if words is not self.words[0] and r.random() < .5 else 0):
            if not w.isascii():                                      # accents are rare in running text
                break
            w = r.choice(words)
        return w.upper() if k < .12 else w.capitalize() if k < .3 else w

    def prose(self, r, room):
        """Consecutive words of some document."""
        words = self.running[r.choices(self.languages, self.weights)[0]]
        at, line = r.randrange(len(words) - 20), ""
        for w in words[at:at + 20]:
            if len(line) + len(w) + 1 > room:
                break
            line = f"{line} {w}".strip()
        if r.random() < .1:
            line = line.upper()
        return line

    def listed(self, r, room):
        """Words of the dictionaries with punctuation of every kind."""
        line = ""
        while True:
            w, k = self.word(r), r.random()
            if k < .12:
                w += r.choice(",,,..;:!?")
            elif k < .17:
                a, b = r.choice(("()", "[]", '""', "''", "“”", "«»", "‘’", "„“", "<>", "{}", "**", "__"))
                w = a + w + b
            elif k < .2:
                w += r.choice("-/–&+'’_@=|.") + self.word(r)
            elif k < .22:
                w = r.choice(("- ", "• ", "* ", "— ", "& ", "+ ", "¿", "¡", "… ", "# ", "~")) + w
            if len(line) + len(w) + 1 > room:
                return line or w[:room]
            line = f"{line} {w}".strip()
            if r.random() < .2:
                return line

    def address(self, r):
        """E-mail addresses, links, paths, postal addresses."""
        a, b, c = (re.sub(r"[^a-z]", "", self.word(r).lower()) or "info" for _ in range(3))
        top = r.choice(("com", "org", "net", "de", "fr", "es", "it", "eu", "co.uk", "nl", "io", "gov", "edu", "ch"))
        return r.choice((f"{a}@{b}.{top}", f"{a}.{b}@{c}.{top}", f"{a}_{digits(r, 2)}@{b}.{top}", f"www.{a}.{top}", f"https://{a}.{top}/{b}", f"http://www.{a}-{b}.{top}",
                         f"/{a}/{b}/{c}", f"{a}.{r.choice(('txt', 'pdf', 'png', 'cpp', 'html', 'h'))}", f"{a}_{b}", f"{r.randrange(1, 400)} {a.capitalize()} {r.choice(('St', 'Street', 'Road', 'Ave.', 'Lane'))}",
                         f"{a.capitalize()}straße {r.randrange(1, 200)}", f"{r.randrange(1, 200)}, rue de {b.capitalize()}", f"{digits(r, 5)} {a.capitalize()}", f"{a}({b}, {c})", f"{a}[{r.randrange(99)}] = {b};"))

    def figures(self, r, room):
        """A line of a receipt, an invoice, a table."""
        makers = (amount, price, price, date, clock, phone, code, code, quantity, quantity, label, label)
        parts = [self.word(r) if r.random() < .25 else r.choice(makers)(r)]
        while r.random() < .62:
            parts.append(self.word(r) if r.random() < .3 else r.choice(makers)(r))
        while len(" ".join(parts)) > room and len(parts) > 1:
            parts.pop()
        return " ".join(parts)[:room].strip()

    def noise(self, r, room):
        pool = PRINTABLE + (LATIN if r.random() < .4 else "") + "      "
        return "".join(r.choices(pool, k=r.randrange(1, min(room, 18) + 1)))

    def line(self, r, room):
        """Prose 47 %, dictionary words 16 %, figures 24 %, addresses 6 %, random characters 7 %; at most `room` characters."""
        k = r.random()
        if k < .47:
            text = self.prose(r, r.randrange(room // 3, room + 1))
        elif k < .63:
            text = self.listed(r, room)
        elif k < .87:
            text = self.figures(r, room)
        elif k < .93:
            text = self.address(r)[:room]
        else:
            text = self.noise(r, room)
        text = "".join(c for c in text if c in KNOWN)                # capitals of ÿ and µ are not
        return " ".join(text.split()) or "."
