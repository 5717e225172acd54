#!/usr/bin/env python3
"""The sample receipt of the demo: python3 sample.py FOLDER writes receipt.png, receipt.txt and receipt-photo.png.

Drawn with a held-out font. The photo is the same receipt on a table: turned a little, tinted, unevenly lit, noisy, as a JPEG.
"""
import io
import os
import random
import sys
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONT, BOLD = ("/usr/share/fonts/truetype/paratype/" + name for name in ("PTM55F.ttf", "PTM75F.ttf"))
ROWS = (("GREEN DOOR CAFÉ", None), ("12 Harbour Street", None), ("Bristol BS1 4QA", None), None, ("14.03.2026", "09:41"), ("Table 7", "Order 4822"), None,
        ("2 x Flat white", "7.60"), ("1 x Orange juice", "3.20"), ("1 x Crème brûlée", "5.90"), ("1 x Granola & yoghurt", "6.45"), "rule",
        ("TOTAL", "£23.15"), ("VAT 20% incl.", "3.86"), ("Card **** 7731", "£23.15"), None, ("Thank you, see you soon!", None), ("www.greendoor.example", None))


def receipt():
    size, pitch, margin, width = 24, 36, 36, 500
    font, bold = ImageFont.truetype(FONT, size), ImageFont.truetype(BOLD, size)
    rows = sum(1 if r not in (None, "rule") else .55 for r in ROWS)
    im = Image.new("RGB", (width, int(rows * pitch) + 2 * margin), (252, 251, 247))
    pen, y, text = ImageDraw.Draw(im), margin, []
    for row in ROWS:
        if row is None or row == "rule":
            if row:
                pen.line((margin, y + 9, width - margin, y + 9), fill=(60, 60, 60), width=2)
            text.append("")
            y += int(.55 * pitch)
            continue
        left, right = row
        face = bold if left.isupper() else font
        pen.text((margin, y), left, font=face, fill=(25, 25, 30))
        if right:
            pen.text((width - margin - face.getlength(right), y), right, font=face, fill=(25, 25, 30))
        text.append(left + (" " + right if right else ""))
        y += pitch
    return im, "\n".join(text) + "\n"


def photo(im):
    r = random.Random(11)
    table = Image.new("RGB", (im.width + 60, im.height + 60), (252, 251, 247))
    table.paste(im, (30, 30))
    im = table.rotate(1.4, resample=Image.BICUBIC, fillcolor=(252, 251, 247)).filter(ImageFilter.GaussianBlur(.7))
    h, w = im.height, im.width
    light = (.72 + .26 * np.linspace(0, 1, w)[None, :, None]) * (1 - .12 * np.linspace(0, 1, h)[:, None, None]) * np.array((1, .95, .84))
    noise = np.random.default_rng(r.getrandbits(32)).normal(0, 6, (h, w, 1))
    im = Image.fromarray((np.asarray(im) * light + noise).clip(0, 255).astype(np.uint8))
    packed = io.BytesIO()
    im.save(packed, "JPEG", quality=68)
    return Image.open(packed).convert("RGB").quantize(40, dither=Image.Dither.NONE)   # a palette keeps the file small


if __name__ == "__main__":
    folder = sys.argv[1]
    picture, words = receipt()
    picture.save(os.path.join(folder, "receipt.png"), optimize=True)
    photo(picture).save(os.path.join(folder, "receipt-photo.png"), optimize=True)
    with open(os.path.join(folder, "receipt.txt"), "w", encoding="utf-8") as out:
        out.write(words)
