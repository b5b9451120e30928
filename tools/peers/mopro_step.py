"""A training step in PyTorch, as a peer in benchmarks: MoPro's step of the clean phase (both encoders, three losses,
label correction, queue, prototypes), or a classifier's. Images are random bytes; everything is channels-last, bf16 is
autocast.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES, LOW_DIM, QUEUE = 1000, 128, 8192


def conv(inside, out, size, stride=1):
    return nn.Sequential(nn.Conv2d(inside, out, size, stride, size // 2, bias=False), nn.BatchNorm2d(out))


class Block(nn.Module):
    """Two 3x3 convolutions, or (`deep`) 1x1, 3x3 and 1x1 to four times the width."""

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


class Step:
    """`mode`: of torch.compile; None: eager."""

    def __init__(self, network, size, batch, task, device, bf16, mode=None):
        make = lambda: Encoder(network, task).to(device, memory_format=torch.channels_last)
        self.task, self.device, self.bf16 = task, device, bf16
        self.query = make()
        self.key = make().requires_grad_(False) if task == "mopro" else None
        self.run_query, self.run_key = self.query, self.key
        if mode:
            self.run_query = torch.compile(self.query, mode=mode)
            self.run_key = torch.compile(self.key, mode=mode) if self.key else None
        self.follow = (list(self.key.parameters()), list(self.query.parameters())) if self.key else None
        foreach = True if device == "cuda" else None
        self.sgd = torch.optim.SGD(self.query.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4, foreach=foreach)
        self.queue = F.normalize(torch.randn(LOW_DIM, QUEUE, device=device), dim=0)
        self.prototypes = F.normalize(torch.randn(CLASSES, LOW_DIM, device=device), dim=1)
        draw = lambda: torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, device=device)
        self.views = [draw().to(memory_format=torch.channels_last) for _ in range(2)]
        self.target = torch.randint(0, CLASSES, (batch,), device=device)
        self.at = 0
        self.mean = torch.tensor((0.485, 0.456, 0.406), device=device).view(1, 3, 1, 1)
        self.std = torch.tensor((0.229, 0.224, 0.225), device=device).view(1, 3, 1, 1)

    def image(self, view):
        return (self.views[view].float() / 255 - self.mean) / self.std

    def step(self):
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.bf16):
            logits, q = self.run_query(self.image(0))
            if self.task == "mopro":
                with torch.no_grad():
                    key_params, query_params = self.follow
                    torch._foreach_mul_(key_params, 0.999)
                    torch._foreach_add_(key_params, query_params, alpha=0.001)
                    _, k = self.run_key(self.image(1))
        loss = self.mopro_loss(logits, q, k) if self.task == "mopro" else F.cross_entropy(logits, self.target)
        self.sgd.zero_grad(set_to_none=True)
        loss.backward()
        self.sgd.step()
        if self.task == "mopro":
            self.push(k)

    def mopro_loss(self, logits, q, k):
        instance = torch.cat([(q * k).sum(1, keepdim=True), q @ self.queue], 1) / 0.1
        scores = q @ self.prototypes.t() / 0.1
        with torch.no_grad():
            s = 0.5 * F.softmax(logits, 1) + 0.5 * F.softmax(scores, 1)
            best, at = s.max(1)
            target = torch.where(best > 0.8, at, self.target)
            weight = ((best > 0.8) | (s.gather(1, self.target[:, None])[:, 0] > 1 / CLASSES)).float()
            # Prototypes all at once: the sequential update of the published code would be much slower.
            sums = torch.zeros_like(self.prototypes).index_add_(0, target, q * weight[:, None])
            self.prototypes = F.normalize(0.999 * self.prototypes + 0.001 * sums, dim=1)
        mean = lambda loss: (loss * weight).sum() / weight.sum().clamp(min=1)
        loss = F.cross_entropy(instance, torch.zeros_like(target))
        for x in (logits, scores):
            loss = loss + mean(F.cross_entropy(x, target, reduction="none"))
        return loss

    def push(self, k):
        """Puts the keys into the queue, after the gradients that need its old contents."""
        with torch.no_grad():
            n = k.shape[0]
            self.queue[:, self.at : self.at + n] = k.t()
            self.at = (self.at + n) % QUEUE
