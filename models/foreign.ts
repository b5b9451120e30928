// A network from an ONNX file of another program, as a trunk: its tensors become states under the names that they have
// in the file, and the layers up to its feature are built into the training programs. Its classifier is replaced, or
// kept if it has the classes of the data.

import { Builder } from "../compiler/ir/builder.js";
import { elements, type Role, type Value } from "../compiler/ir/types.js";
import type { Head, ImageInput } from "../compiler/onnx/find_head.js";
import { importInto, type Part } from "../compiler/onnx/foreign.js";
import type { Model, Tensor } from "../compiler/onnx/model.js";
import { isTrained } from "../compiler/onnx/pools.js";
import { withShownErrors } from "../compiler/onnx/shown.js";
import { isFloat } from "../compiler/ops/general/expression.js";
import * as op from "../compiler/ops/index.js";
import { dropout } from "./dropout.js";
import { Net, normalized } from "./nn.js";

/** How the bytes of images become numbers: (byte / 255 - mean) / std per channel. */
export interface Pixels {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

export interface ForeignOptions {
  readonly pixels: Pixels;
  readonly input: ImageInput;
  readonly head: Head;
  readonly keep: boolean; // the classifier
  readonly frozen: (parameter: string) => boolean;
  readonly freezeBatchNorm: boolean;
}

/** What a network computes of images x f32 [N, 3, H, W]. */
export interface ForeignOutputs {
  readonly feature: Value; // [N, size]
  readonly logits: Value | undefined; // [N, classes], if the classifier is kept
}

/** What is known of a network before it is trained. */
export interface ForeignFacts {
  readonly featureSize: number;
  readonly featureRank: number; // of the model's tensor: 2, 3 with tokens, 4 with pixels
  readonly classes: number | undefined; // of a classifier that is kept
  readonly logitsRank: number | undefined; // of its tensor: 2, or 4 with one pixel
  readonly values: ReadonlyMap<string, Tensor>; // of all states
  readonly trained: readonly string[]; // states that training changes by gradients
  readonly frozen: readonly string[];
  readonly numbers: readonly string[]; // single numbers, which stay as they are
  readonly normalizations: number; // layers with statistics of a batch
  readonly freed: readonly string[]; // nodes that were made for another size of the batch
}

/** What a state is for. A single number is a setting of the network; buffers are statistics. */
type Use = "trained" | "frozen" | "number" | "buffer";

/** Called with each state, and for each batch normalisation. */
interface See {
  state(name: string, tensor: Tensor, use: Use): void;
  normalization(): void;
}

const EXAMPLES = 2; // images of the graph that is built to examine a network

/** A network for images of a size. */
export class ForeignNetwork {
  readonly facts: ForeignFacts;

  /** Throws, naming a node or tensor, if the network cannot be trained on images of this size in pixels. */
  constructor(
    private readonly model: Model,
    readonly options: ForeignOptions,
    size: number,
  ) {
    this.facts = withShownErrors(() => this.examine(size));
  }

  /** The layers for x f32 [N, 3, H, W], with the states of `net`. In training, Dropout drops this share of elements. */
  build(net: Net, x: Value, share = 0): ForeignOutputs {
    const { values, trained } = this.facts;
    const isTrainedHere = new Set(trained);
    // before the nodes, whose results could otherwise take the names of states
    const declared = new Map(
      [...values].map(([name, t]) => [name, declare(net, name, t, isTrainedHere.has(name) ? "trained" : "frozen")]),
    );
    return this.part(net, x, { state: () => {}, normalization: () => {} }, declared, share).outputs;
  }

  get pixels(): Pixels {
    return this.options.pixels;
  }

  private examine(size: number): ForeignFacts {
    const b = Builder.create("examine");
    const x = b.input("x", { dtype: "f32", shape: [EXAMPLES, 3, size, size] });
    const values = new Map<string, Tensor>();
    const by: Record<Use, string[]> = { trained: [], frozen: [], number: [], buffer: [] };
    let normalizations = 0;
    const { outputs, part } = this.part(new Net(b, { training: true }), x, {
      state: (name, tensor, use) => {
        values.set(name, tensor);
        by[use].push(name);
      },
      normalization: () => normalizations++,
    });
    return {
      featureSize: outputs.feature.type.shape[1] as number,
      featureRank: (part.values[0] as Value).type.shape.length,
      classes: outputs.logits?.type.shape[1],
      logitsRank: part.values[1]?.type.shape.length,
      values,
      trained: by.trained,
      frozen: by.frozen,
      numbers: by.number,
      normalizations,
      freed: part.freed,
    };
  }

  private part(
    net: Net,
    x: Value,
    see: See,
    declared: ReadonlyMap<string, Value> = new Map(),
    share = 0,
  ): { readonly outputs: ForeignOutputs; readonly part: Part } {
    const { input, head, keep, frozen, freezeBatchNorm } = this.options;
    const { b } = net;
    const images = input.channels === 1 ? x : op.transpose(b, x, { perm: [0, 2, 3, 1] });
    const state = (name: string, tensor: Tensor, role: Role): Value => {
      const known = declared.get(name);
      if (known) return known;
      const isParam = role === "param" && isTrained(tensor);
      if (isParam && tensor.type !== "f32")
        throw new Error(`its tensor ${name} is ${tensor.type}; networks are trained in f32`);
      const use = isParam ? (frozen(name) ? "frozen" : "trained") : isSetting(tensor) ? "number" : "buffer";
      see.state(name, tensor, use);
      return declare(net, name, tensor, use);
    };
    const part = importInto(this.model, keep ? [head.feature, head.logits] : [head.feature], {
      builder: b,
      inputs: new Map([[input.name, images]]),
      batch: { declared: input.batch, actual: x.type.shape[0] as number },
      state,
      drop: (at, y) => dropout(net.on(at), y, share),
      normalize: {
        scales: freezeBatchNorm ? "buffer" : "param",
        build: (at, { x: y, eps, momentum, ...tables }) => {
          see.normalization();
          return net.training && !freezeBatchNorm ? normalized(net.on(at), y, tables, { eps, momentum }) : undefined;
        },
      },
    });
    const [feature, logits] = part.values as [Value, Value | undefined];
    const outputs = {
      feature: perImage(b, head.feature, feature, x),
      logits: logits && perImage(b, head.logits, logits, x),
    };
    return { part, outputs };
  }
}

const isSetting = (t: Tensor): boolean => isFloat(t.type) && !isTrained(t);

/** The state of a tensor. Its value is not in the graph but in the file with the weights. */
function declare(net: Net, name: string, { type, dims }: Tensor, use: Use): Value {
  const init = { kind: "constant", value: 0 } as const;
  return use === "trained" ? net.param(name, dims, init) : net.buffer(name, { dtype: type, shape: dims }, init);
}

/**
 * A tensor of a network as [N, size]: the mean over pixels of [N, C, H, W], and over tokens of [N, T, C]. Throws if its
 * first extent is not that of the images x.
 */
function perImage(b: Builder, name: string, v: Value, x: Value): Value {
  const { shape } = v.type;
  const n = x.type.shape[0] as number;
  const rank = shape.length;
  if (shape[0] !== n || rank < 2 || rank > 4 || v.type.dtype !== "f32")
    throw new Error(
      `its tensor ${name} is ${v.type.dtype}[${shape}] for ${n} images; the feature of an image has to be a row of ` +
        "[N, C], [N, C, H, W] or [N, tokens, C]",
    );
  const at = b.in("feature");
  if (rank === 3) return op.mean(at, v, { axes: [1] });
  if (rank === 2) return v;
  return elements(shape.slice(2)) === 1 ? op.reshape(at, v, { shape: [n, -1] }) : op.global_avg_pool(at, v);
}
