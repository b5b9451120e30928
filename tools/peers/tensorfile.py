"""Reads and writes safetensors with numpy, so that the peers need only the packages numpy and torch.

A file consists of a length (u64), a JSON header and data. The header maps each name to {dtype, shape,
data_offsets}, and __metadata__ to a dict of strings.
"""

import hashlib
import json
import os
import struct
import sys

import numpy as np

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32,
           "U8": np.uint8, "BOOL": np.bool_}
_NAMES = {np.dtype(v): k for k, v in _DTYPES.items()}


def read(path):
    """Returns the tensors (arrays by name, in the file's order) and the metadata (strings by name)."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        data = f.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, t in header.items():
        begin, end = t["data_offsets"]
        array = np.frombuffer(data[begin:end], dtype=_DTYPES[t["dtype"]])
        tensors[name] = array.reshape(t["shape"]).copy()
    return tensors, metadata


def require(path, mark):
    """Ends the program, with the remedy, unless `path` is absent, empty, or a file whose beginning has the mark."""
    if not os.path.lexists(path):
        return
    if os.path.isfile(path) and not os.path.islink(path):
        with open(path, "rb") as f:
            head = f.read(65536)
        if not head or mark in head:
            return
    print(f"{path}: exists, and moproc did not write it; choose another path, or remove it yourself", file=sys.stderr)
    sys.exit(2)


def write(path, tensors, metadata):
    """Writes arrays by name in their order. Adds the sha256 of the data to the metadata, which checkpoints need.
    Replaces only a file whose metadata "format" begins with moproc-."""
    digest = hashlib.sha256()
    header, at = {}, 0
    arrays = {name: np.asarray(a, order="C") for name, a in tensors.items()}  # does not change tensors of rank 0
    for name, a in arrays.items():
        digest.update(a.tobytes())
        header[name] = {"dtype": _NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps({"__metadata__": {**metadata, "sha256": digest.hexdigest()}, **header}).encode()
    text += b" " * (-len(text) % 8)
    require(path, b'"format": "moproc-')
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for a in arrays.values():
            f.write(a.tobytes())
