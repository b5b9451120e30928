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
import torch.nn as nn
import torch.nn.functional as F

# What --quick leaves out.
COMPILED = [("torch.compile", "default"), ("torch.compile, graphs", "reduce-overhead")]
FORMAT = "moproc-baselines-1"

CLASSES, LOW_DIM, QUEUE, SIZE = 1000, 128, 8192, 224


class Block(nn.Module):
    def __init__(self, inside, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.shortcut = None
        if stride != 1 or inside != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


class Encoder(nn.Module):
    """ResNet-50 with a classifier and an embedding head, as MoPro has it."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        blocks, inside = [], 64
        for stage, (width, count) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
            for i in range(count):
                blocks.append(Block(inside, width, 2 if stage > 0 and i == 0 else 1))
                inside = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inside, CLASSES)
        self.fc1, self.fc2 = nn.Linear(inside, inside), nn.Linear(inside, LOW_DIM)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x)), inplace=True), 3, 2, 1)
        feature = self.blocks(x).mean((2, 3))
        embedding = F.normalize(self.fc2(F.relu(self.fc1(feature))).float(), dim=1)
        return self.classifier(feature).float(), embedding


class Mopro:
    """The step of the clean phase on one GPU: both encoders, three losses, label correction, queue, prototypes."""

    def __init__(self, batch, mode):
        self.query = Encoder().cuda().to(memory_format=torch.channels_last)
        self.key = Encoder().cuda().to(memory_format=torch.channels_last).requires_grad_(False)
        self.run_query, self.run_key = self.query, self.key
        if mode:
            self.run_query, self.run_key = torch.compile(self.query, mode=mode), torch.compile(self.key, mode=mode)
        self.follow = list(self.key.parameters()), list(self.query.parameters())
        self.sgd = torch.optim.SGD(self.query.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, foreach=True)
        self.queue = F.normalize(torch.randn(LOW_DIM, QUEUE, device="cuda"), dim=0)
        self.prototypes = F.normalize(torch.randn(CLASSES, LOW_DIM, device="cuda"), dim=1)
        draw = lambda: torch.randint(0, 256, (batch, 3, SIZE, SIZE), dtype=torch.uint8, device="cuda")
        self.views = [draw().to(memory_format=torch.channels_last) for _ in range(2)]
        self.target = torch.randint(0, CLASSES, (batch,), device="cuda")
        self.at = 0
        self.mean = torch.tensor((0.485, 0.456, 0.406), device="cuda").view(1, 3, 1, 1)
        self.std = torch.tensor((0.229, 0.224, 0.225), device="cuda").view(1, 3, 1, 1)

    def image(self, view):
        return (self.views[view].float() / 255 - self.mean) / self.std

    def step(self):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits, q = self.run_query(self.image(0))
            with torch.no_grad():
                key_params, query_params = self.follow
                torch._foreach_mul_(key_params, 0.999)
                torch._foreach_add_(key_params, query_params, alpha=0.001)
                _, k = self.run_key(self.image(1))
        instance = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue], 1) / 0.1
        scores = q @ self.prototypes.t() / 0.1
        with torch.no_grad():
            s = 0.5 * F.softmax(logits, 1) + 0.5 * F.softmax(scores, 1)
            best, at = s.max(1)
            target = torch.where(best > 0.8, at, self.target)
            kept = (best > 0.8) | (s.gather(1, self.target[:, None])[:, 0] > 1 / CLASSES)
        weight = kept.float()
        mean = lambda loss: (loss * weight).sum() / weight.sum().clamp(min=1)
        loss = F.cross_entropy(instance, torch.zeros_like(target))
        loss = loss + mean(F.cross_entropy(logits, target, reduction="none"))
        loss = loss + mean(F.cross_entropy(scores, target, reduction="none"))
        loss.backward()
        self.sgd.step()
        self.sgd.zero_grad(set_to_none=True)
        with torch.no_grad():
            n = k.shape[0]
            self.queue[:, self.at : self.at + n] = k.t()
            self.at = (self.at + n) % QUEUE
            # Prototypes all at once: the sequential update of the published code would be much slower.
            sums = torch.zeros_like(self.prototypes).index_add_(0, target, q * weight[:, None])
            self.prototypes = F.normalize(0.999 * self.prototypes + 0.001 * sums, dim=1)


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
                mopro = Mopro(batch, mode)
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
