"""Endless rendered lines of text: (grey image [32, W] uint8, its text).

A line is drawn at 10 to 40 pixels, spoiled as scanners and cameras spoil it, and then cut out and brought to the model's
height exactly as lib/mtmd/page/crop.cpp does it for real pages; the two files must stay in step:
  * the ink of the line (or the usual ink height of its page, when that is larger) becomes INK pixels high, its middle in row 16;
  * the cut is resampled with a triangle filter that is widened when shrinking (Pillow's BILINEAR);
  * `normalise` below makes dark ink on light paper of it;
  * the width is a multiple of 16, at least 64, at most MAX_WIDTH, the rest filled with what stands to the right of the line.
Training scatters around that rule, because real boxes are never quite right.
"""
import io
import math
import random
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HEIGHT, INK, MIN_WIDTH, MAX_WIDTH, STEP = 32, 20, 64, 320, 16


def normalise(gray):
    """Dark ink on light paper at fixed levels: the median is the paper, the farther end of the histogram the ink."""
    total = np.cumsum(np.bincount(gray.reshape(-1), minlength=256))
    n = int(total[-1])
    at = lambda count: int(np.searchsorted(total, count, side="right"))          # first level with more than `count` pixels at or below it
    low, paper, high = at(n * 3 // 1000), at(n // 2), at(n - 1 - n * 3 // 1000)
    if high - paper > paper - low:
        gray, low, paper = 255 - gray, 255 - high, 255 - paper
    span = max(48, paper - low)
    return ((gray.astype(np.int32) - (paper - span)) * 230 // span).clip(0, 255).astype(np.uint8)


def draw(r, text, path, size, fonts):
    """The line in black on white with no margin -> (coverage 0..1 as float32 array, its box relative to the baseline)."""
    key = (path, size)
    if key not in fonts:
        if len(fonts) > 3000:
            fonts.clear()
        fonts[key] = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    font = fonts[key]
    x0, y0, x1, y1 = font.getbbox(text, anchor="ls")
    if x1 - x0 < 1 or y1 - y0 < 1 or y1 - y0 > 3 * size:
        return None
    im = Image.new("L", (x1 - x0, y1 - y0), 0)
    ImageDraw.Draw(im).text((-x0, -y0), text, font=font, fill=255, anchor="ls")
    return im, y0, font


def paper_of(r, w, h):
    """Paper and ink levels, and the paper as an image of floats."""
    paper = r.triangular(90, 255, 250)
    ink = r.uniform(0, max(5, paper - r.uniform(60, 140)))
    sheet = np.full((h, w), paper, np.float32)
    if r.random() < .25:                                             # light falls unevenly
        sheet += np.linspace(-1, 1, w, dtype=np.float32) * r.uniform(-20, 20) + np.linspace(-1, 1, h, dtype=np.float32)[:, None] * r.uniform(-12, 12)
    if r.random() < .15:                                             # coarse texture
        coarse = np.random.default_rng(r.getrandbits(32)).standard_normal((max(2, h // 6), max(2, w // 6))).astype(np.float32)
        sheet += np.asarray(Image.fromarray(coarse).resize((w, h), Image.BILINEAR)) * r.uniform(1, 9)
    return sheet, ink


def rules(r, sheet, box, size):
    """Lines of forms and ruled paper around the text."""
    h, w = sheet.shape
    x0, y0, x1, y1 = box
    level, thick = r.uniform(0, 200), max(1, round(size * r.uniform(.03, .09)))
    if r.random() < .75:
        y = round(y1 + r.uniform(.0, .35) * size)
        sheet[y:y + thick, (0 if r.random() < .6 else x0):] = level
    if r.random() < .2:
        y = round(y0 - r.uniform(.1, .4) * size)
        sheet[max(0, y):max(0, y + thick)] = level
    if r.random() < .2:
        x = round(x0 - r.uniform(.2, .5) * size)
        sheet[:, max(0, x):max(0, x + thick)] = level
    if r.random() < .15:
        x = round(x1 + r.uniform(.2, .5) * size)
        sheet[:, x:x + thick] = level


def spoil(r, im, size, fill, ink):
    """What pens, scanners and cameras do to it."""
    k = r.random()
    if k < .18:
        im = im.rotate(r.gauss(0, .7), resample=Image.BILINEAR, fillcolor=fill)
    elif k < .28:                                                    # a slight view from the side
        w, h = im.size
        j = lambda: r.uniform(-.06, .06) * h
        im = im.transform((w, h), Image.QUAD, (j(), j(), j(), h + j(), w + j(), h + j(), w + j(), j()), Image.BILINEAR, fillcolor=fill)
    k = r.random()
    if k < .25:
        im = im.filter(ImageFilter.GaussianBlur(r.uniform(.2, 1) * max(.5, size * .045)))
    elif k < .29 and size > 20:
        im = im.filter(ImageFilter.MinFilter(3) if r.random() < .5 else ImageFilter.MaxFilter(3))
    if r.random() < .3:
        array = np.asarray(im, np.float32)
        array = array + np.random.default_rng(r.getrandbits(32)).standard_normal(array.shape, np.float32) * abs(r.gauss(0, 9))
        im = Image.fromarray(array.clip(0, 255).astype(np.uint8))
    k = r.random()
    if k < .15:
        packed = io.BytesIO()
        im.save(packed, "JPEG", quality=r.randrange(30, 90))
        im = Image.open(packed)
    elif k < .19:                                                    # fax: two levels
        cut = ink + (fill - ink) * r.uniform(.4, .75)
        im = im.point(lambda v: 255 if v > cut else 0)
    return im


def render(r, texts, fonts, face, longest=40):
    """One line -> ([32, W] uint8, text) or None when the dice give nothing drawable."""
    path, chars, size = face
    # Boxes that are wrong by a little: the height that is brought to `target` is the ink's or that of the face.
    target = INK * math.exp(r.gauss(0, .13))
    room = min(longest, r.choice((5, 10, 16, 20, 24, 28, 30, 32, 34, 36, 40)))
    text = texts.line(r, room)
    if text == ".":
        return None
    if not chars.issuperset(map(ord, text)):
        text = "".join(c for c in text if ord(c) in chars).strip()
    while text:
        drawn = draw(r, text, path, size, fonts)
        if drawn is None:
            return None
        glyphs, top, font = drawn
        w, h = glyphs.size
        bottom = top + h
        full_top, full_bottom = font.getbbox("Adhp", anchor="ls")[1::2]
        k = r.random()
        if k < .45:                                                  # measured against the page: the usual ink height
            height = max(h, (full_bottom - full_top) * r.uniform(.8, 1.05))
        else:
            height = max(h, .45 * size)
        scale = min(target / height, 3.2)
        if w * scale <= MAX_WIDTH - 6:
            break
        words = text.split()                                         # too wide: fewer words, or fewer letters of one long word
        keep = (MAX_WIDTH - 6) / (w * scale)
        text = " ".join(words[:max(1, int(len(words) * keep))]) if len(words) > 1 else text[:max(1, int(len(text) * keep * .95))]
    else:
        return None
    left = r.uniform(1.5, 9)
    width = max(MIN_WIDTH, math.ceil((w * scale + left + r.uniform(1.5, 9)) / STEP) * STEP)
    width = min(width, MAX_WIDTH)
    margin = 4 + round(.3 * size)                                    # room for turning
    cw, ch = math.ceil(width / scale) + 2 * margin, math.ceil(HEIGHT / scale) + 2 * margin
    x, y = margin + round(left / scale), round((ch - h) / 2)
    sheet, ink = paper_of(r, cw, ch)
    if r.random() < .08:
        rules(r, sheet, (x, y, x + w, y + h), size)
    mask = Image.new("L", (cw, ch), 0)
    if r.random() < .12:                                             # the feet or heads of the lines above and below
        other, side = draw(r, texts.line(r, 24).strip() or "x", path, size, fonts), r.choice((-1, 1))
        if other is not None:
            mask.paste(other[0], (x + r.randrange(-20, 20), y - top + side * round(size * r.uniform(1.3, 1.9)) + other[1]))
    mask.paste(glyphs, (x, y))
    array = np.asarray(mask, np.float32) * (1 / 255)
    if r.random() < .12:                                             # light on dark
        sheet, ink = 255 - sheet, 255 - ink
    im = Image.fromarray((sheet + (ink - sheet) * array).clip(0, 255).astype(np.uint8))
    im = spoil(r, im, size, int(sheet[0, 0].clip(0, 255)), ink)
    middle = y + h / 2 + (r.gauss(0, 1.0) + r.choice((0, 0, 0, -1.5, 1.5))) / scale
    if k < .3:                                                       # the box of the face rather than of these letters
        middle += ((full_top + full_bottom) / 2 - (top + bottom) / 2) * r.random()
    tall = HEIGHT / scale
    y0 = min(max(0., middle - tall / 2), max(0., ch - tall))
    box = (margin, y0, min(cw, margin + width / scale), min(ch, y0 + tall))
    gray = np.asarray(im.resize((width, HEIGHT), Image.BILINEAR, box=box))
    return (normalise(gray) if r.random() < .85 else gray), text


def batches(seed, texts, faces, longest, pixels=64 * 224):
    """Yields ([n, 32, W] uint8, texts), every batch of one width and about `pixels` columns; runs of one face share its set-up.
    `longest`: a shared integer, the most characters of a line; training raises it."""
    r, waiting, fonts = random.Random(seed), {}, {}
    while True:
        path, chars = faces.choose(r)
        size = round(10 * 4 ** r.random())
        for _ in range(6):
            try:
                made = render(r, texts, fonts, (path, chars, size), longest.value)
            except (OSError, ValueError):                            # a face that FreeType cannot draw at this size
                break
            if made is None:
                continue
            im, line = made
            bucket = waiting.setdefault(im.shape[1], [])
            bucket.append((im, line))
            if len(bucket) * im.shape[1] >= pixels or len(bucket) >= 128:
                r.shuffle(bucket)
                yield np.stack([i for i, _ in bucket]), [t for _, t in bucket]
                waiting[im.shape[1]] = []
