#!/usr/bin/env python3
"""A training step in PyTorch on the CPU, for npm run bench. Builds the network and then runs one step for each line on
standard input, and answers with one line of JSON: {"ms": milliseconds, "peak_mb": most memory so far}. The first line,
after a step that does not count, is {"torch": version}.

torch_steps.py NETWORK SIZE BATCH TASK PRECISION MODE THREADS
  NETWORK: resnet18, resnet50; TASK: mopro, classifier; PRECISION: f32, bf16; MODE: eager, compile

MoPro's step is that of the clean phase: both encoders, three losses, label correction, queue, prototypes. All is
channels-last; bf16 is autocast.
"""

import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES, LOW_DIM, QUEUE = 1000, 128, 8192


def conv(inside, out, size, stride=1):
    return nn.Sequential(nn.Conv2d(inside, out, size, stride, size // 2, bias=False), nn.BatchNorm2d(out))


class Block(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3 and 1x1 to four times the width."""

    def __init__(self, inside, width, stride, deep):
        super().__init__()
        out = 4 * width if deep else width
        if deep:
            self.convs = nn.ModuleList([conv(inside, width, 1), conv(width, width, 3, stride), conv(width, out, 1)])
        else:
            self.convs = nn.ModuleList([conv(inside, width, 3, stride), conv(width, out, 3)])
        self.shortcut = conv(inside, out, 1, stride) if stride != 1 or inside != out else nn.Identity()

    def forward(self, x):
        y = x
        for c in self.convs[:-1]:
            y = F.relu(c(y), inplace=True)
        return F.relu(self.convs[-1](y) + self.shortcut(x), inplace=True)


class Encoder(nn.Module):
    """A ResNet with a classifier and, for MoPro, an embedding head."""

    def __init__(self, network, task):
        super().__init__()
        deep, counts = {"resnet18": (False, [2, 2, 2, 2]), "resnet50": (True, [3, 4, 6, 3])}[network]
        self.stem, blocks, inside = conv(3, 64, 7, 2), [], 64
        for stage, count in enumerate(counts):
            for i in range(count):
                width = 64 << stage
                blocks.append(Block(inside, width, 2 if stage > 0 and i == 0 else 1, deep))
                inside = 4 * width if deep else width
        self.blocks, self.classifier = nn.Sequential(*blocks), nn.Linear(inside, CLASSES)
        if task == "mopro":
            self.fc1, self.fc2 = nn.Linear(inside, inside), nn.Linear(inside, LOW_DIM)
        self.task = task

    def forward(self, x):
        feature = self.blocks(F.max_pool2d(F.relu(self.stem(x), inplace=True), 3, 2, 1)).mean((2, 3))
        logits = self.classifier(feature).float()
        if self.task == "classifier":
            return logits, None
        return logits, F.normalize(self.fc2(F.relu(self.fc1(feature))).float(), dim=1)


class Steps:
    def __init__(self, network, size, batch, task, precision, mode):
        make = lambda: Encoder(network, task).to(memory_format=torch.channels_last)
        self.task, self.bf16 = task, precision == "bf16"
        self.query = make()
        self.key = make().requires_grad_(False) if task == "mopro" else None
        self.run_query, self.run_key = self.query, self.key
        if mode == "compile":
            self.run_query = torch.compile(self.query)
            self.run_key = torch.compile(self.key) if self.key else None
        self.sgd = torch.optim.SGD(self.query.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
        self.queue = F.normalize(torch.randn(LOW_DIM, QUEUE), dim=0)
        self.prototypes = F.normalize(torch.randn(CLASSES, LOW_DIM), dim=1)
        draw = lambda: torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
        self.views = [draw().to(memory_format=torch.channels_last) for _ in range(2)]
        self.target = torch.randint(0, CLASSES, (batch,))
        self.at = 0
        self.mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
        self.std = torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1)

    def image(self, view):
        return (self.views[view].float() / 255 - self.mean) / self.std

    def step(self):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            logits, q = self.run_query(self.image(0))
            if self.task == "mopro":
                with torch.no_grad():
                    for k, p in zip(self.key.parameters(), self.query.parameters()):
                        k.mul_(0.999).add_(p, alpha=0.001)
                    _, k = self.run_key(self.image(1))
        loss = self.mopro_loss(logits, q, k) if self.task == "mopro" else F.cross_entropy(logits, self.target)
        self.sgd.zero_grad(set_to_none=True)
        loss.backward()
        self.sgd.step()

    def mopro_loss(self, logits, q, k):
        instance = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue.clone()], 1) / 0.1
        scores = q @ self.prototypes.t() / 0.1
        with torch.no_grad():
            s = 0.5 * F.softmax(logits, 1) + 0.5 * F.softmax(scores, 1)
            best, at = s.max(1)
            target = torch.where(best > 0.8, at, self.target)
            weight = ((best > 0.8) | (s.gather(1, self.target[:, None])[:, 0] > 1 / CLASSES)).float()
        mean = lambda loss: (loss * weight).sum() / weight.sum().clamp(min=1)
        loss = F.cross_entropy(instance, torch.zeros_like(target))
        for x in (logits, scores):
            loss = loss + mean(F.cross_entropy(x, target, reduction="none"))
        with torch.no_grad():
            n = k.shape[0]
            self.queue[:, self.at : self.at + n] = k.t()
            self.at = (self.at + n) % QUEUE
            # Prototypes all at once: the sequential update of the published code would be slower.
            sums = torch.zeros_like(self.prototypes).index_add_(0, target, q * weight[:, None])
            self.prototypes = F.normalize(0.999 * self.prototypes + 0.001 * sums, dim=1)
        return loss


def peak_mb():
    """The most memory of this process. (getrusage would count the process that started it.)"""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1e3


def main():
    network, size, batch, task, precision, mode, threads = sys.argv[1:]
    torch.manual_seed(1)
    torch.set_num_threads(int(threads))
    steps = Steps(network, int(size), int(batch), task, precision, mode)
    steps.step()
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        steps.step()
        ms = 1e3 * (time.perf_counter() - begin)
        print(json.dumps({"ms": ms, "peak_mb": peak_mb()}), flush=True)


if __name__ == "__main__":
    main()
