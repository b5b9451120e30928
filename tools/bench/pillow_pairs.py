#!/usr/bin/env python3
"""Pairs of views in Python, for npm run bench: MoPro's weak and strong transform of every image. Prints one line of
JSON: {"peer": name, "pairs": number, "cpu_seconds": seconds of processor time}.

pillow_pairs.py DIR SECONDS
  DIR: a folder with image files, or with shards (tar files), at any depth. torchvision's transforms are used if it is
  installed; otherwise the same operations of Pillow, which these call on images of Pillow.
"""

import io
import json
import os
import random
import sys
import tarfile
import time

import PIL
from PIL import Image, ImageEnhance, ImageOps

SIZE = 224
SUFFIXES = (".jpg", ".jpeg", ".png")


def pictures(folder):
    """(file, offset, bytes) of every image below `folder`; bytes is None for a file of its own."""
    found = []
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            file = os.path.join(path, name)
            if name.endswith(SUFFIXES):
                found.append((file, 0, None))
            elif name.endswith(".tar"):
                with tarfile.open(file) as tar:
                    found += [(file, m.offset_data, m.size) for m in tar if m.name.endswith(SUFFIXES)]
    return found


def decoded(picture):
    file, offset, size = picture
    with open(file, "rb") as f:
        f.seek(offset)
        data = f.read() if size is None else f.read(size)
    return Image.open(io.BytesIO(data)).convert("RGB")


def crop(image):
    """torchvision's RandomResizedCrop(224, scale=(0.2, 1)), then RandomHorizontalFlip."""
    width, height = image.size
    box = None
    for _ in range(10):
        area = width * height * random.uniform(0.2, 1)
        ratio = (3 / 4) * (16 / 9) ** random.random()
        w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            x, y = random.randint(0, width - w), random.randint(0, height - h)
            box = (x, y, x + w, y + h)
            break
    image = image.crop(box) if box else ImageOps.fit(image, (min(image.size),) * 2)
    image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


def shift_hue(image, turns):
    h, s, v = image.convert("HSV").split()
    step = int(255 * turns)
    return Image.merge("HSV", (h.point([(i + step) % 256 for i in range(256)]), s, v)).convert("RGB")


def jitter(image):
    """RandomGrayscale(0.2), then ColorJitter(0.4, 0.4, 0.4, 0.4)."""
    image = ImageOps.grayscale(image).convert("RGB") if random.random() < 0.2 else image
    enhancers = [ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color]
    steps = [lambda i, e=e: e(i).enhance(random.uniform(0.6, 1.4)) for e in enhancers]
    steps.append(lambda i: shift_hue(i, random.uniform(-0.4, 0.4)))
    random.shuffle(steps)
    for step in steps:
        image = step(image)
    return image


def transforms():
    """The weak and the strong transform, from an image to bytes, and whose they are."""
    try:
        from torchvision import __version__
        from torchvision import transforms as t
    except ImportError:
        return crop, lambda i: jitter(crop(i)), f"Pillow {PIL.__version__}"
    resized = [t.RandomResizedCrop(SIZE, scale=(0.2, 1)), t.RandomHorizontalFlip()]
    color = [t.RandomGrayscale(0.2), t.ColorJitter(0.4, 0.4, 0.4, 0.4)]
    return t.Compose(resized), t.Compose(resized + color), f"torchvision {__version__}, Pillow {PIL.__version__}"


def main():
    folder, seconds = sys.argv[1], float(sys.argv[2])
    weak, strong, name = transforms()
    random.seed(1)
    all_pictures = pictures(folder)
    random.shuffle(all_pictures)
    pairs = 0
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        image = decoded(all_pictures[pairs % len(all_pictures)])
        weak(image).tobytes()
        strong(image).tobytes()
        pairs += 1
    print(json.dumps({"peer": name, "pairs": pairs, "cpu_seconds": time.process_time() - begin}))


if __name__ == "__main__":
    main()
