"""Which installed fonts training draws with, and which are kept for the test set only.

A family counts as one choice however many weights it ships, so a family with fifty files is not drawn fifty times as often.
"""
import glob
import os
from fontTools.ttLib import TTFont

ROOTS = ("/usr/share/fonts", "/usr/share/texmf/fonts")

# Held out: training never opens these. Faces of everyday printing whose designs have no twin among the others.
TEST_FOLDERS = ("paratype", "linux-libertine", "jetbrains-mono", "courier-prime", "cabin", "vollkorn", "gentium",
                "manrope", "quattrocento", "clear-sans")

TRAIN_FOLDERS = ("3270", "adf", "agave", "andika", "anonymous-pro", "averia-gwf", "cardo", "charis", "cmu", "croscore", "crosextra",
                 "dejavu", "doulos", "fantasque-sans", "fanwood", "firacode", "fonts-century-catalogue", "fonts-oldstandard",
                 "freefont", "gnutypewriter", "hack", "hermit", "inconsolata", "karla", "lato", "liberation", "liberation2", "monofur",
                 "monoid", "mononoki", "noto", "ocr-a", "open-sans", "opendin", "oxygen", "play", "quicksand", "roadgeek", "roboto", "tlwg",
                 "tuffy", "arapey", "b612", "cantarell", "comic-neue", "didot", "dosis", "ebgaramond", "fonts-prociono", "inter",
                 "junicode", "jura", "league-mono", "league-spartan", "millimetre", "mplus", "national-park", "neohellenic", "ocr-b",
                 "opendyslexic", "sora", "sortsmill", "stix", "urw-base35", "yanone-kaffeesatz", "lm", "tex-gyre")

# Not text faces, or not Latin ones.
SKIP = ("Math", "Symbol", "Dingbat", "Emoji", "Icons", "D050000L", "Standard Symbols", "STIXInt", "STIXSiz", "STIXVar", "STIXNonUni",
        "Glyph", "lmmath", "Variable", "variable", "[", "Ornament", "ArrowsExt", "Chancery", "Z003", "chorus", "caps", "csc", "ADFSc")   # the last three: small capitals
NOTO_KEPT = ("NotoSans-", "NotoSerif-", "NotoMono", "NotoSansMono-", "NotoSansDisplay-", "NotoSerifDisplay-")
NEEDED = set(map(ord, "ABCXYZabcxyz0123456789.,:;-()/%&"))


def usable(path):
    name = os.path.basename(path)
    if any(s in name for s in SKIP) or (name.startswith("Noto") and not name.startswith(NOTO_KEPT)):
        return False
    return True


def coverage(path):
    """Code points the font has a glyph for; empty when it cannot be read."""
    try:
        with TTFont(path, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except Exception:                              # a damaged or exotic file only costs us that face
        return frozenset()


def families(folders):
    """{family: [(path, coverage)]} for the installed files in the given folders."""
    found = {}
    for root in ROOTS:
        for path in sorted(glob.glob(root + "/**/*.[to]tf", recursive=True)):
            folder = os.path.basename(os.path.dirname(path))
            if folder in folders and usable(path):
                chars = coverage(path)
                if NEEDED <= chars:
                    stem = os.path.basename(path).split("-")[0].split(".")[0]
                    found.setdefault((folder, stem.rstrip("0123456789")[:12]), []).append((path, chars))
    return found


class Faces:
    """Draws a face at random: folders by the root of their size (at most 4), upright faces three times as often as slanted ones."""

    def __init__(self, folders):
        grouped = {}
        for (folder, _), files in families(folders).items():
            grouped.setdefault(folder, []).extend(files)
        self.folders = [(files, [.33 if any(k in path for k in ("Ital", "ital", "Obli", "obli", "Slant", "slant")) else 1 for path, _ in files])
                        for _, files in sorted(grouped.items())]
        self.weights = [min(4, len(files) ** .5) for files, _ in self.folders]

    def choose(self, r):
        """-> (path, covered code points)"""
        files, weights = r.choices(self.folders, self.weights)[0]
        return r.choices(files, weights)[0]
