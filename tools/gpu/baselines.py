#!/usr/bin/env python3
"""Measures the same work in PyTorch on the same GPU: MoPro's training step with ResNet-50, eager and compiled, and each
of its convolutions in cuDNN. All times are medians, with bf16 autocast, channels-last and data already on the GPU.

baselines.py [--batches 64,128,256,512] [--json FILE] [--quick]   prints Markdown; --quick leaves out torch.compile
"""

import argparse
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

# The step lies beside this file in a kit, in tools/peers in a clone.
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), *at) for at in ([], ["..", "peers"])]
from mopro_step import Step

# What --quick leaves out.
COMPILED = [("torch.compile", "default"), ("torch.compile, graphs", "reduce-overhead")]
FORMAT = "moproc-baselines-1"

SIZE = 224


def median_seconds(run, count=20, warmup=5):
    for _ in range(warmup):
        run()
    times = []
    for _ in range(count):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3)
    return sorted(times)[len(times) // 2]


def shapes():
    """(channels in, out, kernel, stride, pixels in) of ResNet-50's convolutions -> how often."""
    count = {(4, 64, 7, 2, SIZE): 1}
    pixels, inside = SIZE // 4, 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for i in range(blocks):
            stride = 2 if stage > 0 and i == 0 else 1
            convs = [(inside, width, 1, 1, pixels), (width, width, 3, stride, pixels)]
            convs.append((width, 4 * width, 1, 1, pixels // stride))
            if i == 0:
                convs.append((inside, 4 * width, 1, stride, pixels))
            for c in convs:
                count[c] = count.get(c, 0) + 1
            pixels, inside = pixels // stride, 4 * width
    return count


def convolutions(batch):
    rows = []
    for (cin, cout, kernel, stride, pixels), count in shapes().items():
        pad = kernel // 2
        make = lambda *shape: torch.randn(*shape, device="cuda", dtype=torch.bfloat16).contiguous(
            memory_format=torch.channels_last
        )
        x, w = make(batch, cin, pixels, pixels), make(cout, cin, kernel, kernel)
        y = F.conv2d(x, w, stride=stride, padding=pad)
        dy = torch.randn_like(y)
        grad = lambda mask: torch.ops.aten.convolution_backward(
            dy, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, mask
        )
        row = {"in": cin, "out": cout, "kernel": kernel, "stride": stride, "pixels": pixels, "count": count}
        row["fprop_us"] = 1e6 * median_seconds(lambda: F.conv2d(x, w, stride=stride, padding=pad))
        row["dgrad_us"] = 1e6 * median_seconds(lambda: grad([True, False, False])) if cin > 4 else 0
        row["wgrad_us"] = 1e6 * median_seconds(lambda: grad([False, True, False]))
        rows.append(row)
    return rows


def require(path):
    """Ends the program, with the remedy, unless `path` is absent, an empty file, or an older result."""
    if not os.path.lexists(path):
        return
    if os.path.isfile(path) and not os.path.islink(path):
        with open(path, "rb") as f:
            head = f.read(100)
        if not head or f'"format": "{FORMAT}"'.encode() in head:
            return
    print(f"{path}: exists, and moproc did not write it; choose another path, or remove it yourself", file=sys.stderr)
    sys.exit(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="64,128,256,512", help="Images per step, a comma list.")
    parser.add_argument("--json", help="Writes the results to this file.")
    parser.add_argument("--quick", action="store_true", help="Leaves out torch.compile.")
    options = parser.parse_args()
    if options.json:
        require(options.json)
    torch.backends.cudnn.benchmark = True
    result = {"format": FORMAT, "gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    result |= {"mopro": [], "conv": []}
    print(f"\n# PyTorch {result['torch']} on the same GPU\n\n| MoPro step | batch | ms | images/s | peak GB |")
    print("| --- | --- | --- | --- | --- |")
    modes = [("eager", None)] + ([] if options.quick else COMPILED)
    for batch in map(int, options.batches.split(",")):
        for name, mode in modes:
            try:
                torch.cuda.reset_peak_memory_stats()
                begin = time.time()
                mopro = Step("resnet50", SIZE, batch, "mopro", "cuda", True, mode)
                seconds = median_seconds(mopro.step)
                peak = torch.cuda.max_memory_allocated() / 1e9
                row = {"mode": name, "batch": batch, "ms": 1e3 * seconds, "images_per_second": batch / seconds}
                result["mopro"].append({**row, "peak_gb": peak, "start_s": time.time() - begin})
                print(f"| {name} | {batch} | {1e3 * seconds:.1f} | {batch / seconds:.0f} | {peak:.1f} |", flush=True)
            except Exception as e:  # out of memory, or no compiler: reported, and the others still run
                result["mopro"].append({"mode": name, "batch": batch, "error": str(e)[:500]})
                print(f"| {name} | {batch} | {type(e).__name__} | | |", flush=True)
            mopro = None
            torch.compiler.reset()
            torch.cuda.empty_cache()
    print("\n| convolution, batch 256 | count | fprop us | dgrad us | wgrad us |\n| --- | --- | --- | --- | --- |")
    for r in convolutions(256):
        result["conv"].append(r)
        what = f"{r['kernel']}x{r['kernel']}/{r['stride']} {r['in']} -> {r['out']} at {r['pixels']}"
        times = " | ".join(f"{r[k]:.0f}" for k in ("fprop_us", "dgrad_us", "wgrad_us"))
        print(f"| {what} | {r['count']} | {times} |", flush=True)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(result, f, indent=1)


if __name__ == "__main__":
    main()
