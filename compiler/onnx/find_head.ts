// Finds in another program's classifier the image input, the scores of the classes, and the feature that its last layer
// reads.

import { isFloat } from "../ops/general/expression.js";
import { where } from "./foreign_graph.js";
import type { Model, OnnxNode, ValueInfo } from "./model.js";
import { constantNames } from "./pools.js";
import { withShownErrors } from "./shown.js";

/** The input of images. `channels` is its axis of the colours. */
export interface ImageInput {
  readonly name: string;
  readonly channels: 1 | 3;
  readonly batch: number | undefined; // undefined: any
  readonly size: number | undefined; // of the square images; undefined: any
}

/** The last layer: what it reads, and the scores of the classes, before they become probabilities. */
export interface Head {
  readonly feature: string;
  readonly logits: string;
}

const shown = (v: ValueInfo): string =>
  `${v.name} (${v.type}[${v.shape ? v.shape.map((d) => (d === "" ? "?" : d)) : "..."}])`;

const isNumber = (d: number | string | undefined): d is number => typeof d === "number";

/**
 * The input of images, or the one called `name`. Throws, listing the inputs, unless there is one of rank 4 with three
 * channels in f32; other inputs have to be constants.
 */
export const imageInput = (m: Model, name?: string): ImageInput => withShownErrors(() => imageInputOf(m, name));

function imageInputOf(m: Model, name: string | undefined): ImageInput {
  const given = new Set(m.graph.initializers.map((t) => t.name));
  const inputs = m.graph.inputs.filter((v) => !given.has(v.name));
  const all = `its inputs are ${inputs.map(shown).join(", ") || "none"}`;
  const channelsOf = ({ shape = [] }: ValueInfo): 1 | 3 | undefined => {
    if (shape.length !== 4) return undefined;
    if (shape[1] === 3) return 1;
    if (shape[3] === 3) return 3;
    return isNumber(shape[1]) || isNumber(shape[3]) ? undefined : 1;
  };
  const named = name === undefined ? undefined : inputs.find((v) => v.name === name);
  if (name !== undefined && !named) throw new Error(`--input ${name}: the model has no such input; ${all}`);
  const images = named ? [named] : inputs.filter((v) => channelsOf(v) !== undefined);
  const [v, other] = images;
  if (!v) throw new Error(`none of its inputs is a batch of images, [N, 3, H, W] or [N, H, W, 3]; ${all}`);
  if (other) throw new Error(`several of its inputs may be images; --input NAME chooses one; ${all}`);
  const rest = inputs.find((i) => i !== v);
  if (rest)
    throw new Error(
      `besides images it has the input ${shown(rest)}, which training has no data for; --bind makes it a constant`,
    );
  const channels = channelsOf(v);
  if (channels === undefined)
    throw new Error(`its input ${shown(v)} is no batch of images, [N, 3, H, W] or [N, H, W, 3]`);
  if (v.type !== "f32") throw new Error(`its input ${shown(v)} is not f32, in which images are trained`);
  const [height, width] = channels === 1 ? [v.shape?.[2], v.shape?.[3]] : [v.shape?.[1], v.shape?.[2]];
  if (isNumber(height) && isNumber(width) && height !== width)
    throw new Error(`its input ${shown(v)} is for images that are not square, which cannot be trained`);
  const [batch] = v.shape ?? [];
  return {
    name: v.name,
    channels,
    batch: isNumber(batch) ? batch : undefined,
    size: [height, width].find(isNumber),
  };
}

/** Operators that make probabilities of scores. */
const probabilities: ReadonlySet<string> = new Set(["Softmax", "LogSoftmax", "Sigmoid"]);
/** Operators between the last layer and the output that keep the scores, and others, which make them. */
const keeps: ReadonlySet<string> = new Set(["Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast"]);
const makes: ReadonlySet<string> = new Set([
  ...["Dropout", "Relu", "Clip", "Add", "Sub", "GlobalAveragePool", "AveragePool", "ReduceMean"],
]);
/** Those of them, and of layers, that have several operands of one kind. */
const joins: ReadonlySet<string> = new Set(["Add", "Sub", "Gemm", "MatMul", "Conv"]);
const layers: ReadonlySet<string> = new Set(["Gemm", "MatMul", "Conv"]);

/**
 * The last layer of the classifier that makes `output`, by default the model's first float output. Throws, naming the
 * node where the search ends, if that is no Gemm, MatMul or Conv with a constant weight.
 */
export const findHead = (m: Model, output?: string): Head => withShownErrors(() => headOf(m, output));

function headOf(m: Model, output: string | undefined): Head {
  const first = m.graph.outputs.find((v) => isFloat(v.type));
  const start = output ?? first?.name;
  if (start === undefined) throw new Error("none of its outputs is of a float type, so none is a score of classes");
  const makers = new Map(m.graph.nodes.flatMap((n) => n.outputs.map((name): [string, OnnxNode] => [name, n])));
  const constants = constantNames(m.graph);
  let logits = start;
  let isLogits = false; // whether the scores have been reached
  for (let name = start; ; ) {
    const n = makers.get(name);
    const stops = (what: string): never => {
      throw new Error(
        `its last layer is not found: ${what} before the output ${start}; --feature NAME names the tensor that a new ` +
          "classifier is to read",
      );
    };
    makers.delete(name); // the model has not been checked yet: its nodes may be a circle
    if (!n) return stops(`the search ends at ${name}`);
    if (n.domain !== "" && n.domain !== "ai.onnx") return stops(`${where(n)} stands`);
    const operands = joins.has(n.op) ? n.inputs : n.inputs.slice(0, 1); // others have shapes and bounds behind it
    const [data, ...more] = operands.filter((i) => i !== "" && !constants.has(i));
    if (data === undefined || more.length > 0) return stops(`${where(n)} joins several values`);
    if (layers.has(n.op)) return { feature: data, logits };
    if (!isLogits && probabilities.has(n.op)) logits = data;
    else if (makes.has(n.op)) isLogits = true;
    else if (!keeps.has(n.op)) return stops(`${where(n)} stands`);
    name = data;
  }
}
