"""ONNX operators as functions of PyTorch: operators[name](inputs, attributes) returns the output or a tuple of
outputs. An optional input that is not given is None or missing."""

import torch
import torch.nn.functional as F


def window(a, rank):
    """Strides, dilations and paddings, which are the same on both sides."""
    pads = a.get("pads", [0] * 2 * rank)
    assert pads[:rank] == pads[rank:], pads
    return a.get("strides", [1] * rank), pads[:rank], a.get("dilations", [1] * rank)


def padded(x, pads, mode="constant", value=0.0):
    """x with ONNX's pads, which are those of all axes or of the last ones."""
    rank = len(pads) // 2
    mine = [n for axis in reversed(range(rank)) for n in (pads[axis], pads[rank + axis])]
    if mode == "constant":
        return F.pad(x, mine, value=value)
    assert not any(mine[4:]), mine  # PyTorch pads the last two axes of a tensor of rank 4 so
    return F.pad(x, mine[:4], mode={"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode])


def conv(i, a):
    x, w, b = (i + [None])[:3]
    rank = x.dim() - 2
    pads = a.get("pads", [0] * 2 * rank)
    f = [F.conv1d, F.conv2d, F.conv3d][rank - 1]
    return f(padded(x, pads), w, b, a.get("strides", 1), 0, a.get("dilations", 1), a.get("group", 1))


def conv_transpose(i, a):
    x, w, b = (i + [None])[:3]
    rank = x.dim() - 2
    strides, pads, dilations = window(a, rank)
    f = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][rank - 1]
    return f(x, w, b, strides, pads, a.get("output_padding", 0), a.get("group", 1), dilations)


def col2im(i, a):
    x, image, block = i
    pads = a.get("pads", [0] * 4)
    image = image.tolist()
    whole = [n + pads[k] + pads[2 + k] for k, n in enumerate(image)]
    y = F.fold(x, whole, block.tolist(), stride=a.get("strides", 1))
    return y[:, :, pads[0]:pads[0] + image[0], pads[1]:pads[1] + image[1]]


def average_pool(i, a):
    x = i[0]
    rank = x.dim() - 2
    strides, pads, _ = window(a, rank)
    f = [F.avg_pool1d, F.avg_pool2d, F.avg_pool3d][rank - 1]
    return f(x, a["kernel_shape"], strides, pads, count_include_pad=bool(a.get("count_include_pad", 0)))


def max_pool(i, a):
    x = i[0]
    rank = x.dim() - 2
    strides, pads, dilations = window(a, rank)
    f = [F.max_pool1d, F.max_pool2d, F.max_pool3d][rank - 1]
    return f(x, a["kernel_shape"], strides, pads, dilations, bool(a.get("ceil_mode", 0)))


def lp_pool(i, a):
    x = i[0]
    rank = x.dim() - 2
    f = [F.lp_pool1d, F.lp_pool2d][rank - 1]
    kernel, strides = a["kernel_shape"], a.get("strides", [1] * rank)
    return f(x, a.get("p", 2), kernel[0] if rank == 1 else kernel, strides[0] if rank == 1 else strides)


def batch_norm(i, a):
    x, scale, bias, mean, var = i
    eps = a["epsilon"]
    if a.get("training_mode"):
        return F.batch_norm(x, mean.detach().clone(), var.detach().clone(), scale, bias, True, 0.1, eps)
    one = [1, -1] + [1] * (x.dim() - 2)  # F.batch_norm has no gradient by running statistics
    return (x - mean.view(one)) / torch.sqrt(var.view(one) + eps) * scale.view(one) + bias.view(one)


def layer_norm(i, a):
    x, w, b = (i + [None])[:3]
    return F.layer_norm(x, x.shape[a.get("axis", -1):], w, b, a["epsilon"])


def mean_variance(i, a):
    var, mean = torch.var_mean(i[0], (0, 2, 3), correction=0, keepdim=True)
    return (i[0] - mean) / (torch.sqrt(var) + 1e-9)


def recurrent(i, a, kind, order):
    """A layer of torch.nn with ONNX's weights, whose gates are at the positions `order` of ONNX's."""
    x, w, r, b, _, *states = i
    hidden, directions = a["hidden_size"], w.shape[0]
    if a.get("activations") == ["Relu"]:
        kind = "rnn_relu"
    gates = lambda t: torch.cat([t[g * hidden:(g + 1) * hidden] for g in order])
    half = len(order) * hidden
    flat = [p for d in range(directions) for p in (gates(w[d]), gates(r[d]), gates(b[d, :half]), gates(b[d, half:]))]
    state = tuple(states) if kind == "lstm" else states[0]
    y, *ends = getattr(torch, kind)(x, state, flat, True, 1, 0.0, False, directions == 2, False)
    steps, batch = x.shape[:2]
    return (y.view(steps, batch, directions, hidden).transpose(1, 2), *ends)


def attention(i, a):
    q, k, v, mask = (i + [None])[:4]
    return F.scaled_dot_product_attention(
        q, k, v, mask, is_causal=bool(a.get("is_causal", 0)), enable_gqa=q.shape[1] != k.shape[1])


def reduced(f):
    """f(x, axes), with ONNX's keepdims."""
    def compute(i, a):
        x = i[0]
        axes = [n % x.dim() for n in i[1].tolist()] if len(i) > 1 else list(range(x.dim()))
        y = f(x, axes)
        return y if a.get("keepdims", 1) else y.squeeze(axes)
    return compute


def product(x, axes):
    for axis in axes:
        x = x.prod(axis, keepdim=True)
    return x


def extreme(name):
    def compute(x, axes):
        for axis in axes:
            x = getattr(x, name)(axis, keepdim=True).values
        return x
    return compute


def cum_sum(i, a):
    x, axis = i[0], int(i[1])
    if a.get("reverse"):
        return x.flip(axis).cumsum(axis).flip(axis)
    y = x.cumsum(axis)
    return y - x if a.get("exclusive") else y


def cum_prod(i, a):
    x, axis = i[0].T if int(i[1]) == 0 else i[0], -1
    assert x.dim() == 2
    x = x.flip(axis) if a.get("reverse") else x
    y = x.cumprod(axis)
    if a.get("exclusive"):
        y = torch.cat([torch.ones_like(y[:, :1]), y[:, :-1]], axis)
    y = y.flip(axis) if a.get("reverse") else y
    return y.T if int(i[1]) == 0 else y


def cross_entropy(i, a, f):
    scores, labels, weight = (i + [None])[:3]
    return f(scores, labels, weight, ignore_index=a.get("ignore_index", -100), reduction=a.get("reduction", "mean"))


def sliced(i, a):
    x, starts, ends, axes, steps = i[0], *(t.tolist() for t in i[1:])
    for start, end, axis, step in zip(starts, ends, axes, steps):
        places = list(range(x.shape[axis]))[slice(start, None if end < -x.shape[axis] else end, step)]
        x = x.index_select(axis, torch.tensor(places))
    return x


def depth_to_space(i, a):
    x, s = i[0], a["blocksize"]
    if a.get("mode") == "CRD":
        return F.pixel_shuffle(x, s)
    n, c, h, w = x.shape
    blocks = x.view(n, s * s, c // (s * s), h, w).transpose(1, 2).reshape(n, c, h, w)
    return F.pixel_shuffle(blocks, s)


def space_to_depth(i, a):
    x, s = i[0], a["blocksize"]
    n, c = x.shape[:2]
    y = F.pixel_unshuffle(x, s)
    return y.view(n, c, s * s, *y.shape[2:]).transpose(1, 2).reshape(y.shape)


def gather(i, a):
    x, index = i
    axis = a.get("axis", 0)
    flat = x.index_select(axis, index.flatten() % x.shape[axis])
    return flat.view(*x.shape[:axis], *index.shape, *x.shape[axis + 1:])


def gather_nd(i, a):
    x, index = i
    if a.get("batch_dims", 0) == 0:
        return x[tuple(index.unbind(-1))]
    return torch.stack([row[tuple(at.unbind(-1))] for row, at in zip(x, index)])


def scatter_elements(i, a):
    x, index, updates = i
    axis = a.get("axis", 0)
    reduction = a.get("reduction", "none")
    if reduction == "none":
        return x.scatter(axis, index, updates)
    if reduction == "add":
        return x.scatter_add(axis, index, updates)
    return x.scatter_reduce(axis, index, updates, {"mul": "prod", "max": "amax"}[reduction])


def scatter_nd(i, a):
    x, index, updates = i
    return x.index_put(tuple(index.unbind(-1)), updates, accumulate=a.get("reduction") == "add")


def reverse_sequence(i, a):
    x, lengths = i  # time is axis 0, the batch axis 1
    columns = [torch.cat([x[:n, k].flip(0), x[n:, k]]) for k, n in enumerate(lengths.tolist())]
    return torch.stack(columns, 1)


def resize(i, a):
    x, size = i[0], i[3].tolist()[2:]
    mode = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}[a.get("mode", "nearest")]
    if mode == "nearest":
        return F.interpolate(x, size, mode=mode)
    corners = a.get("coordinate_transformation_mode") == "align_corners"
    return F.interpolate(x, size, mode=mode, align_corners=corners, antialias=bool(a.get("antialias", 0)))


def grid_sample(i, a):
    mode = {"linear": "bilinear", "nearest": "nearest", "cubic": "bicubic"}[a.get("mode", "linear")]
    return F.grid_sample(*i, mode, a.get("padding_mode", "zeros"), bool(a.get("align_corners", 0)))


def compress(i, a):
    return i[0].index_select(a["axis"], i[1].nonzero().flatten())


def summed(values):
    y = values[0]
    for v in values[1:]:
        y = y + v
    return y


def folded(f):
    def compute(i, a):
        y = i[0]
        for v in i[1:]:
            y = f(y, v)
        return y
    return compute


def gemm(i, a):
    x, w = (t.T if a.get(name) else t for t, name in zip(i, ("transA", "transB")))
    y = a.get("alpha", 1.0) * (x @ w)
    return y + a.get("beta", 1.0) * i[2] if len(i) > 2 else y


def of_x(f):
    return lambda i, a: f(i[0])


losses = {"SoftmaxCrossEntropyLoss": F.cross_entropy, "NegativeLogLikelihoodLoss": F.nll_loss}
operators = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Col2Im": col2im,
    "AveragePool": average_pool,
    "MaxPool": max_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": of_x(lambda x: F.adaptive_avg_pool2d(x, 1)),
    "GlobalMaxPool": of_x(lambda x: F.adaptive_max_pool2d(x, 1)),
    "MaxUnpool": lambda i, a: F.max_unpool2d(i[0], i[1], a["kernel_shape"], a["strides"]),
    "BatchNormalization": batch_norm,
    "InstanceNormalization": lambda i, a: F.instance_norm(i[0], weight=i[1], bias=i[2], eps=a["epsilon"]),
    "GroupNormalization": lambda i, a: F.group_norm(i[0], a["num_groups"], i[1], i[2], a["epsilon"]),
    "LayerNormalization": layer_norm,
    "RMSNormalization": lambda i, a: F.rms_norm(i[0], i[0].shape[a.get("axis", -1):], i[1], a["epsilon"]),
    "LpNormalization": lambda i, a: F.normalize(i[0], a.get("p", 2), a.get("axis", -1)),
    "LRN": lambda i, a: F.local_response_norm(i[0], a["size"], a["alpha"], a["beta"], a["bias"]),
    "MeanVarianceNormalization": mean_variance,
    "RNN": lambda i, a: recurrent(i, a, "rnn_tanh", [0]),
    "GRU": lambda i, a: recurrent(i, a, "gru", [1, 0, 2]),
    "LSTM": lambda i, a: recurrent(i, a, "lstm", [0, 2, 3, 1]),
    "Attention": attention,
    "MatMul": lambda i, a: torch.matmul(*i),
    "Gemm": gemm,
    "Einsum": lambda i, a: torch.einsum(a["equation"], *i),
    "Det": of_x(torch.linalg.det),
    **{name: lambda i, a, f=f: cross_entropy(i, a, f) for name, f in losses.items()},
    "Relu": of_x(F.relu),
    "Sigmoid": of_x(torch.sigmoid),
    "Tanh": of_x(torch.tanh),
    "Softplus": of_x(F.softplus),
    "Softsign": of_x(F.softsign),
    "Identity": of_x(lambda x: x.clone()),
    "Mish": of_x(F.mish),
    "HardSwish": of_x(F.hardswish),
    **{name: of_x(getattr(torch, name.lower())) for name in (
        "Erf", "Abs", "Exp", "Neg", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Atan", "Asin", "Acos", "Asinh", "Acosh",
        "Atanh", "Log", "Sqrt", "Reciprocal")},
    "Elu": lambda i, a: F.elu(i[0], a.get("alpha", 1.0)),
    "Celu": lambda i, a: F.celu(i[0], a.get("alpha", 1.0)),
    "Selu": lambda i, a: a["gamma"] * F.elu(i[0], a["alpha"]),
    "Gelu": lambda i, a: F.gelu(i[0], approximate=a.get("approximate", "none")),
    "LeakyRelu": lambda i, a: F.leaky_relu(i[0], a.get("alpha", 0.01)),
    "ThresholdedRelu": lambda i, a: F.threshold(i[0], a.get("alpha", 1.0), 0.0),
    "HardSigmoid": lambda i, a: torch.clamp(a.get("alpha", 0.2) * i[0] + a.get("beta", 0.5), 0, 1),
    "Swish": lambda i, a: i[0] * torch.sigmoid(a["alpha"] * i[0]),
    "Shrink": lambda i, a: (F.softshrink if "bias" in a else F.hardshrink)(i[0], a["lambd"]),
    "PRelu": lambda i, a: torch.where(i[0] < 0, i[0] * i[1], i[0]),
    "Clip": lambda i, a: torch.clamp(i[0], float(i[1]), float(i[2])),
    "Add": lambda i, a: i[0] + i[1],
    "Sub": lambda i, a: i[0] - i[1],
    "Mul": lambda i, a: i[0] * i[1],
    "Div": lambda i, a: i[0] / i[1],
    "Pow": lambda i, a: torch.pow(*i),
    "Mod": lambda i, a: torch.fmod(i[0], i[1].detach()),
    "Max": folded(torch.maximum),
    "Min": folded(torch.minimum),
    "Sum": lambda i, a: summed(i),
    "Mean": lambda i, a: summed(i) / len(i),
    "Where": lambda i, a: torch.where(*i),
    "ReduceSum": reduced(lambda x, axes: x.sum(axes, keepdim=True)),
    "ReduceMean": reduced(lambda x, axes: x.mean(axes, keepdim=True)),
    "ReduceMax": reduced(extreme("max")),
    "ReduceMin": reduced(extreme("min")),
    "ReduceProd": reduced(product),
    "ReduceL1": reduced(lambda x, axes: torch.linalg.vector_norm(x, 1, axes, keepdim=True)),
    "ReduceL2": reduced(lambda x, axes: torch.linalg.vector_norm(x, 2, axes, keepdim=True)),
    "ReduceSumSquare": reduced(lambda x, axes: (x * x).sum(axes, keepdim=True)),
    "ReduceLogSum": reduced(lambda x, axes: x.sum(axes, keepdim=True).log()),
    "ReduceLogSumExp": reduced(lambda x, axes: torch.logsumexp(x, axes, keepdim=True)),
    "Softmax": lambda i, a: F.softmax(i[0], a.get("axis", -1)),
    "LogSoftmax": lambda i, a: F.log_softmax(i[0], a.get("axis", -1)),
    "CumSum": cum_sum,
    "CumProd": cum_prod,
    "TopK": lambda i, a: torch.topk(i[0], int(i[1]), a.get("axis", -1), bool(a.get("largest", 1))).values,
    "Concat": lambda i, a: torch.cat(i, a["axis"]),
    "Split": lambda i, a: torch.split(i[0], i[1].tolist(), a["axis"]),
    "Slice": sliced,
    "Transpose": lambda i, a: i[0].permute(a["perm"]),
    "Reshape": lambda i, a: i[0].reshape(i[1].tolist()),
    "Flatten": lambda i, a: i[0].flatten(a["axis"]).flatten(0, a["axis"] - 1),
    "Squeeze": lambda i, a: i[0].squeeze(i[1].tolist()),
    "Unsqueeze": lambda i, a: i[0].unsqueeze(0).unsqueeze(2),  # of axes 0 and 2
    "Expand": lambda i, a: i[0].expand(i[1].tolist()),
    "Tile": lambda i, a: i[0].tile(i[1].tolist()),
    "Pad": lambda i, a: padded(i[0], i[1].tolist(), a["mode"], float(i[2]) if len(i) > 2 else 0.0),
    "Trilu": lambda i, a: (torch.triu if a.get("upper", 1) else torch.tril)(i[0], int(i[1]) if len(i) > 1 else 0),
    "Compress": compress,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Gather": gather,
    "GatherElements": lambda i, a: torch.gather(i[0], a.get("axis", 0), i[1]),
    "GatherND": gather_nd,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "ReverseSequence": reverse_sequence,
    "Resize": resize,
    "GridSample": grid_sample,
    "AffineGrid": lambda i, a: F.affine_grid(i[0], i[1].tolist(), bool(a.get("align_corners", 0))),
}
