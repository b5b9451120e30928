#!/usr/bin/env python3
"""The convolutions of ResNet-50 in PyTorch on one core, for npm run bench: oneDNN's kernels, channels-last. Prints a
JSON list of {"name", "type", "direction", "gflops"}; names are those of conv_bench.

torch_convolutions.py IMAGES
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

LEAST, SECONDS = 3, 0.15  # runs, and time for all of them


def shapes():
    """(name, channels in, pixels, channels out, window, stride) of each distinct convolution."""
    seen = {}

    def add(inside, pixels, out, window, stride):
        name = f"{window}x{window} {inside}-{out} @{pixels}" + (f" /{stride}" if stride > 1 else "")
        seen.setdefault(name, (inside, pixels, out, window, stride))

    add(3, 224, 64, 7, 2)
    inside, pixels = 64, 56
    for width, blocks, first in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for i in range(blocks):
            stride = first if i == 0 else 1
            add(inside, pixels, width, 1, 1)
            add(width, pixels, width, 3, stride)
            if i == 0:
                add(inside, pixels, 4 * width, 1, stride)
            pixels //= stride
            add(width, pixels, 4 * width, 1, 1)
            inside = 4 * width
    return seen


def best(run):
    """The least seconds of some runs, after one that does not count."""
    run()
    least, spent, count = 1e9, 0.0, 0
    while count < LEAST or spent < SECONDS:
        begin = time.perf_counter()
        run()
        s = time.perf_counter() - begin
        least, spent, count = min(least, s), spent + s, count + 1
    return least


def main():
    images = int(sys.argv[1])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    rows = []
    for name, (inside, pixels, out, window, stride) in shapes().items():
        pad = window // 2
        for dtype, kind in [(torch.float32, "f32"), (torch.bfloat16, "bf16")]:
            make = lambda *shape: torch.randn(*shape).to(dtype).contiguous(memory_format=torch.channels_last)
            x, w = make(images, inside, pixels, pixels), make(out, inside, window, window)
            with torch.no_grad():
                y = F.conv2d(x, w, stride=stride, padding=pad)
                dy = torch.randn_like(y)
                grad = lambda mask: torch.ops.aten.convolution_backward(
                    dy, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, mask
                )
                flops = 2.0 * y.numel() * inside * window * window
                times = {"fprop": best(lambda: F.conv2d(x, w, stride=stride, padding=pad))}
                if inside > 3:
                    times["dgrad"] = best(lambda: grad([True, False, False]))
                times["wgrad"] = best(lambda: grad([False, True, False]))
            for direction, seconds in times.items():
                rows.append({"name": name, "type": kind, "direction": direction, "gflops": flops / seconds / 1e9})
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
