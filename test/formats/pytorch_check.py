# What PyTorch and numpy make of files written by moproc: each command exits with 1 and a reason when it is not what it
# must be.
import pickle
import pickletools
import struct
import sys
import zipfile

import torch
from torch import nn


def load(path):
    """With the loader that executes nothing, where this PyTorch's can: 1.13's does not know fractions (opcode 71)."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        if "Unsupported operand 71" not in str(e):
            raise
        return torch.load(path, map_location="cpu")


# What weights_only=True of every PyTorch from 2.0 on accepts.
SAFE_OPS = set("PROTO STOP MARK GLOBAL REDUCE BINPERSID EMPTY_DICT EMPTY_LIST EMPTY_TUPLE APPENDS SETITEMS TUPLE "
               "NEWTRUE NEWFALSE NONE BININT BININT1 LONG1 BINFLOAT BINUNICODE".split())
SAFE_NAMES = {"torch._utils _rebuild_tensor_v2", "collections OrderedDict", "torch FloatStorage", "torch LongStorage"}


def safe(path):
    """The pickle of the archive has only opcodes and names that the loader without execution accepts."""
    with zipfile.ZipFile(path) as z:
        pickled = z.read(next(n for n in z.namelist() if n.endswith("/data.pkl")))
        assert z.testzip() is None, "a CRC is wrong"
        for e in z.infolist():
            with open(path, "rb") as f:
                f.seek(e.header_offset + 26)
                name, extra = struct.unpack("<HH", f.read(4))
            assert (e.header_offset + 30 + name + extra) % 64 == 0, f"{e.filename} is not aligned"
    for op, arg, _ in pickletools.genops(pickled):
        assert op.name in SAFE_OPS and (op.name != "GLOBAL" or arg in SAFE_NAMES), f"{op.name} {arg}"


def same(a, b, where):
    if isinstance(a, torch.Tensor):
        # Bits: NaN is the same as itself, 0 is not the same as -0.
        integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}
        bits = lambda t: t.contiguous().view(integer.get(t.element_size(), t.dtype)) if t.is_floating_point() else t
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(bits(a), bits(b)), f"{where} differs"
    elif isinstance(a, dict):
        assert list(a) == list(b), f"{where} has other keys: {list(a)[:5]} ... and {list(b)[:5]} ..."
        for k in a:
            same(a[k], b[k], f"{where}.{k}")
    else:
        assert a == b, f"{where} is {a} and {b}"


def model_of(state):
    """A model with exactly these tensors: parameters and buffers in the order of the state_dict."""
    root = nn.Module()
    root.module = nn.Module()
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    for name, value in state.items():
        *path, leaf = name.split(".")
        at = root
        for part in path:
            if part not in at._modules:
                at.add_module(part, nn.Module())
            at = at._modules[part]
        if leaf in buffers or name in ("module.queue", "module.queue_ptr", "module.prototypes"):
            at.register_buffer(leaf, torch.zeros_like(value))
        else:
            at.register_parameter(leaf, nn.Parameter(torch.zeros_like(value)))
    return root


def restored(checkpoint):
    """Model and optimizer as a published script restores them."""
    model = model_of(checkpoint["state_dict"])
    sgd = torch.optim.SGD(model.parameters(), 0.5, momentum=0.5, weight_decay=0.5)
    model.load_state_dict(checkpoint["state_dict"], strict=True)
    sgd.load_state_dict(checkpoint["optimizer"])
    return model, sgd


def published(ours, theirs):
    """A checkpoint written by moproc holds what PyTorch's own file does, and restores model and optimizer."""
    safe(ours)
    a, b = load(ours), load(theirs)
    for key in ("epoch", "arch", "state_dict"):
        same(a[key], b[key], key)
    same(a["optimizer"]["state"], b["optimizer"]["state"], "optimizer.state")
    group = b["optimizer"]["param_groups"][0]
    for key, value in a["optimizer"]["param_groups"][0].items():
        same(value, group[key], f"param_groups[0].{key}")
    model, sgd = restored(a)
    expected, other = restored(b)
    for (name, p), q in zip(model.named_parameters(), expected.parameters()):
        p.grad, q.grad = torch.ones_like(p), torch.ones_like(q)
        momentum = sgd.state[p].get("momentum_buffer")
        assert (momentum is not None) == ("encoder_q" in name), f"momentum of {name}"
    sgd.step(), other.step()
    same(dict(model.state_dict()), dict(expected.state_dict()), "after a step")


def state_dict(ours, theirs):
    safe(ours)
    same(dict(load(ours)), dict(load(theirs)), "state_dict")


def detectron2(ours, theirs):
    with open(ours, "rb") as f, open(theirs, "rb") as g:
        a, b = pickle.load(f), pickle.load(g)
    pixels = {"pixel_order": "RGB", "pixel_mean": [123.675, 116.28, 103.53], "pixel_std": [58.395, 57.12, 57.375]}
    assert {k: a.pop(k) for k in pixels} == pixels
    assert a.pop("__written_by_moproc__") is True
    assert list(a) == list(b) and list(a["model"]) == list(b["model"])
    for k, v in a["model"].items():
        w = b["model"][k]
        assert v.dtype == w.dtype and v.shape == w.shape and v.tobytes() == w.tobytes(), k


def resave(path, zip_out, stream_out):
    """Through PyTorch: restores model and optimizer, and saves what they hold as the published scripts do."""
    safe(path)
    c = load(path)
    assert "moproc" in c
    model, sgd = restored(c)
    out = {"epoch": c["epoch"], "arch": c["arch"], "state_dict": model.state_dict(), "optimizer": sgd.state_dict()}
    torch.save(out, zip_out)
    torch.save(out, stream_out, _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    command = {f.__name__: f for f in (published, state_dict, detectron2, resave)}[sys.argv[1]]
    try:
        command(*sys.argv[2:])
    except AssertionError as e:
        sys.exit(str(e))
