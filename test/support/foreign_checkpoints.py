# python3 foreign_checkpoints.py RUN.safetensors DIR: writes the network of a run as other programs would save it. Needs
# only Python: classes with the names of PyTorch's and numpy's stand in for them, and Python's own pickle and zipfile
# write.
import argparse
import collections
import datetime
import enum
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

SIZES = {"F32": 4, "I64": 8, "F16": 2, "F64": 8, "BF16": 2}
STORAGES = {"F32": "FloatStorage", "I64": "LongStorage", "F16": "HalfStorage", "F64": "DoubleStorage",
            "BF16": "BFloat16Storage"}


def stand_in(module, name, base=object, **members):
    """A class that pickle writes as MODULE.NAME."""
    parent = None
    for i in range(1, module.count(".") + 2):
        path = ".".join(module.split(".")[:i])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
        if parent is not None:
            setattr(parent, path.split(".")[-1], sys.modules[path])
        parent = sys.modules[path]
    made = type(name, (base,), {"__module__": module, "__qualname__": name, **members})
    setattr(parent, name, made)
    return made


class Call:
    """An object that is pickled as FUNCTION(*ARGS)."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


rebuild = stand_in("torch._utils", "_rebuild_tensor_v2")
rebuild_parameter = stand_in("torch._utils", "_rebuild_parameter_with_state")
rebuild_sparse = stand_in("torch._utils", "_rebuild_sparse_tensor")
storages = {dtype: stand_in("torch", name) for dtype, name in STORAGES.items()}
device = stand_in("torch", "device")
scalar = stand_in("numpy._core.multiarray", "scalar")
numpy_dtype = stand_in("numpy", "dtype")
Config = stand_in("somebody.config", "Config", dict)


class Dtype:
    """numpy.dtype('f8') with its byte order."""

    def __reduce__(self):
        return numpy_dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 0)


class Color(enum.Enum):
    RED = 1


class Storage:
    def __init__(self, dtype, data):
        self.dtype, self.data = dtype, data


def tensor(dtype, shape, data):
    strides, n = [], 1
    for size in reversed(shape):
        strides.insert(0, n)
        n *= size
    return Call(rebuild, Storage(dtype, data), 0, tuple(shape), tuple(strides), False, collections.OrderedDict())


class Pickler(pickle._Pickler):
    """Writes storages as persistent ids, and collects them."""

    def __init__(self, file, protocol):
        super().__init__(file, protocol)
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        if value not in self.storages:
            self.storages.append(value)
        key = str(self.storages.index(value))
        return "storage", storages[value.dtype], key, "cuda:0", len(value.data) // SIZES[value.dtype]


def save(path, root, protocol=2):
    """As torch.save."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        out = io.BytesIO()
        pickler = Pickler(out, protocol)
        pickler.dump(root)
        z.writestr("archive/data.pkl", out.getvalue())
        z.writestr("archive/byteorder", "little")
        for i, storage in enumerate(pickler.storages):
            z.writestr(f"archive/data/{i}", storage.data)
        z.writestr("archive/version", "3\n")
        z.writestr("archive/.data/serialization_id", "0123456789")


def save_stream(path, root):
    """As torch.save(..., _use_new_zipfile_serialization=False)."""
    with open(path, "wb") as f:
        facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
        for small in (0x1950A86A20F9469CFC6C, 1001, facts):
            pickle.dump(small, f, 2)
        pickler = Pickler(f, 2)
        pickler.dump(root)
        pickle.dump([str(i) for i in range(len(pickler.storages))], f, 2)
        for storage in pickler.storages:
            f.write(struct.pack("<q", len(storage.data) // SIZES[storage.dtype]) + storage.data)


def save_safetensors(path, state, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, (dtype, shape, bytes_) in state.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    return {n: (t["dtype"], t["shape"], data[t["data_offsets"][0]:t["data_offsets"][1]])
            for n, t in header.items() if n != "__metadata__"}


def recoded(state, dtype):
    """The floats of a state as another type."""
    def convert(data):
        floats = struct.unpack(f"<{len(data) // 4}f", data)
        if dtype == "BF16":  # cut off, so the values are exact in both types
            return b"".join(struct.pack("<f", v)[2:] for v in floats)
        return struct.pack(f"<{len(floats)}{'e' if dtype == 'F16' else 'd'}", *floats)
    return {n: (dtype, s, convert(d)) if t == "F32" else (t, s, d) for n, (t, s, d) in state.items()}


def widened(state):
    """The same values as f32."""
    def convert(dtype, data):
        if dtype == "BF16":
            return b"".join(b"\0\0" + data[i:i + 2] for i in range(0, len(data), 2))
        floats = struct.unpack(f"<{len(data) // 2}e", data)
        return struct.pack(f"<{len(floats)}f", *floats)
    return {n: ("F32", s, convert(t, d)) if t in ("F16", "BF16") else (t, s, d) for n, (t, s, d) in state.items()}


def detectron2(name):
    """The name by detectron2's script, which knows no classifier of its own."""
    if "layer" not in name:
        name = "stem." + name
    for i in (4, 3, 2, 1):
        name = name.replace(f"layer{i}", f"res{i + 1}")
    for i in (1, 2, 3):
        name = name.replace(f"bn{i}", f"conv{i}.norm")
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")


def tensors(state, prefix=""):
    return collections.OrderedDict((prefix + n, tensor(*t)) for n, t in state.items())


def main(run, out):
    state = {}
    for name, t in read_safetensors(run).items():
        if name.startswith("encoder_q.") and ".fc" not in name:
            state[name[len("encoder_q."):].replace("classifier.", "fc.")] = t
    at = lambda name: f"{out}/{name}"
    other = {n: (t, s, bytes(len(d))) for n, (t, s, d) in state.items()}  # zeros: must not be taken
    args = argparse.Namespace(lr=0.1, out=pathlib.PosixPath("/runs"), device=Call(device, "cuda", 0), color=Color.RED,
                              when=datetime.datetime(2024, 5, 6), sizes=collections.defaultdict(list, {"a": [1]}))
    best = Call(scalar, Dtype(), struct.pack("<d", 71.5))
    adam = {"state": {0: {"step": 3, "exp_avg": tensor(*state["conv1.weight"])}},
            "param_groups": [{"betas": (0.9, 0.99), "params": [0]}]}
    about = {"epoch": 7, "arch": "resnet10", "args": args, "best": best, "config": Config(depth=10), "optimizer": adam,
             "lambda": len}

    save(at("plain.pth"), tensors(state))
    save(at("wrapped.pth"), {"state_dict": tensors(state, "module._orig_mod.backbone."), **about})
    for protocol in (3, 4, 5):
        save(at(f"protocol{protocol}.pth"), {"model": tensors(state, "model."), **about}, protocol)
    save_stream(at("stream.pth"), {"model_state_dict": tensors(state, "module."), **about})
    save(at("averages.pth"), {"model_ema": {"state_dict": tensors(other)}, "net": tensors(state, "net."), "epoch": 1})
    parameters = {n: Call(rebuild_parameter, tensor(*t), True, collections.OrderedDict(), {"no_decay": True})
                  for n, t in state.items()}
    save(at("parameters.pth"), {"model": parameters})
    with_counters = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    save(at("counters.pth"), tensors(with_counters))
    save(at("detectron2.pth"), {"model": tensors({detectron2(n): t for n, t in with_counters.items()})})
    save_safetensors(at("timm.safetensors"), state, {"format": "pt"})
    save_safetensors(at("wrapped.safetensors"), {"model.backbone." + n: t for n, t in state.items()}, {"format": "pt"})
    for dtype in ("F16", "BF16"):
        narrow = recoded(state, dtype)
        save(at(f"{dtype}.pth"), {"net": tensors(narrow)})
        save(at(f"{dtype}.widened.pth"), {"net": tensors(widened(narrow))})
    save(at("F64.pth"), {"net": tensors(recoded(state, "F64"))})

    three = {**state, "fc.weight": ("F32", [3, 64], bytes(4 * 3 * 64)), "fc.bias": ("F32", [3], bytes(12))}
    save(at("three.pth"), {"model": tensors(three)})
    deep = {("conv1.0.weight" if n == "conv1.weight" else n): t for n, t in state.items()}
    save(at("deep.pth"), tensors(deep))
    sparse = {**tensors(state), "bn1.bias": Call(rebuild_sparse, "layout", ())}
    save(at("sparse.pth"), {"model": sparse})
    harmful = stand_in("posix", "system") if "posix" not in sys.modules else sys.modules["posix"].system
    save(at("harmful.pth"), {"model": tensors(state), "args": argparse.Namespace(f=Call(harmful, "echo harm"))})
    save(at("model.pth"), stand_in("torchvision.models.resnet", "ResNet")())


if __name__ == "__main__":
    main(*sys.argv[1:])
