#!/usr/bin/env python3
"""A training step in PyTorch on the CPU, for npm run bench. Builds the network and then runs one step for each line on
standard input, and answers with one line of JSON: {"ms": milliseconds, "peak_mb": most memory so far}. The first line,
after a step that does not count, is {"torch": version}.

torch_steps.py NETWORK SIZE BATCH TASK PRECISION MODE THREADS
  NETWORK: resnet18, resnet50; TASK: mopro, classifier; PRECISION: f32, bf16; MODE: eager, compile
"""

import json
import os
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from mopro_step import Step


def peak_mb():
    """The most memory of this process. (getrusage would count the process that started it.)"""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1e3


def main():
    network, size, batch, task, precision, mode, threads = sys.argv[1:]
    torch.manual_seed(1)
    torch.set_num_threads(int(threads))
    compiled = "default" if mode == "compile" else None
    step = Step(network, int(size), int(batch), task, "cpu", precision == "bf16", compiled)
    step.step()
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        step.step()
        ms = 1e3 * (time.perf_counter() - begin)
        print(json.dumps({"ms": ms, "peak_mb": peak_mb()}), flush=True)


if __name__ == "__main__":
    main()
