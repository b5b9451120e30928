"""A vision transformer in PyTorch, in f64, with timm's names of tensors. Reads weights, images, the number of heads and
a seed as JSON from the file named by the first argument; writes the feature and the gradient of sum(feature seed) by
each weight and by the images to that of the second."""

import json
import sys

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.heads = heads

    def forward(self, x):
        n, tokens, channels = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, channels))


class Mlp(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = Attention(channels, heads)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.mlp = Mlp(channels)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, 16, 16)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Vit(nn.Module):
    def __init__(self, channels, tokens, depth, heads):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, channels))
        self.patch_embed = PatchEmbed(channels)
        self.blocks = nn.Sequential(*[Block(channels, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x):
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), self.patch_embed(x)], 1) + self.pos_embed
        return self.norm(self.blocks(x))[:, 0]


def build(channels, tokens, depth, heads):
    return Vit(channels, tokens, depth, heads)


def tensor(t):
    return torch.tensor(t["data"], dtype=torch.float64).reshape(t["shape"])


def main():
    with open(sys.argv[1]) as f:
        given = json.load(f)
    weights = {name: tensor(t) for name, t in given["weights"].items()}
    _, tokens, channels = weights["pos_embed"].shape
    net = build(channels, tokens, given["depth"], given["heads"]).double()
    net.load_state_dict(weights)
    x = tensor(given["x"]).requires_grad_()
    y = net(x)
    (y * tensor(given["seed"])).sum().backward()
    grads = {name: p.grad.flatten().tolist() for name, p in net.named_parameters()}
    with open(sys.argv[2], "w") as f:
        json.dump({"y": y.flatten().tolist(), "grads": {**grads, "x": x.grad.flatten().tolist()}}, f)


if __name__ == "__main__":
    main()
