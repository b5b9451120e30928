// The gradients of the first step of training a network from an ONNX file with a new classifier: those of the reference
// evaluator, in f64, and of the compiled step, in f32, beside PyTorch's in f64.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { NdArray } from "../../compiler/ir/nd.js";
import { elements, type Graph, type Value } from "../../compiler/ir/types.js";
import { readModel } from "../../compiler/onnx/files.js";
import { findHead, imageInput } from "../../compiler/onnx/find_head.js";
import { fitName } from "../../compiler/onnx/names.js";
import { numbersIn } from "../../compiler/onnx/numbers.js";
import { root } from "../../compiler/util/root.js";
import { classifierPrograms } from "../../models/classifier.js";
import { ForeignNetwork } from "../../models/foreign.js";
import { imagenet } from "../../models/nn.js";
import { compiled, runReference, toValues } from "./compiled.js";
import { uniform } from "./random.js";

const CLASSES = 4;

/** A parameter's gradient beside PyTorch's in f64. Differences are in the 2-norm. */
export interface Compared {
  readonly name: string;
  readonly norm: number; // of PyTorch's
  readonly exact: number | undefined; // difference of the step that the reference evaluator computes in f64
  readonly compiled: number | undefined; // of the compiled step, in f32
  readonly rounding: number; // of PyTorch's own gradient in f32
}

export interface FirstStep {
  readonly losses: readonly number[]; // PyTorch's, then those of the evaluator and the compiled step, if asked for
  readonly gradients: readonly Compared[];
}

export interface FirstStepOptions {
  readonly images: number;
  readonly size: number; // pixels
  readonly feature?: string; // absent: what the last layer reads
  readonly by: readonly ("evaluator" | "compiled")[];
}

/** Below `dir`, the networks of the ONNX project: KIND/NAME/model.onnx. */
export function unpackNetworks(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  execFileSync("tar", ["-xzf", join(root, "test", "fixtures", "onnx-networks", "networks.tar.gz"), "-C", dir]);
}

/** Images of broad stripes with some noise: of each another colour, direction and width. */
function striped(images: number, size: number): Uint8Array {
  const noise = uniform(5);
  const bytes = new Uint8Array(images * 3 * size * size);
  bytes.forEach((_, i) => {
    const [x, y] = [i % size, Math.floor(i / size) % size];
    const [plane, n] = [Math.floor(i / size ** 2) % 3, Math.floor(i / (3 * size ** 2))];
    const phase = (x * Math.cos(n) + y * Math.sin(n)) / (3 + 2 * n) + plane * (n + 1);
    bytes[i] = Math.round(40 + 90 * (1 + Math.sin(phase)) + 35 * noise());
  });
  return bytes;
}

/** The gradients of one step from the state and with the inputs in `values`, by the names of the parameters. */
interface Gradients {
  readonly loss: number;
  readonly of: (parameter: string) => ArrayLike<number>;
}

type Values = ReadonlyMap<string, Float64Array>;

// Momentum begins as 0, so after a step without weight decay it is the gradient.
const momentum = (parameter: string): string => `optimizer.momentum.${parameter}`;

function evaluated(step: Graph, values: Values): Gradients {
  const feed = [...step.inputs, ...step.state].map((v): [Value, NdArray] => [
    v,
    new NdArray(v.type.shape, values.get(v.name) ?? new Float64Array(elements(v.type.shape))),
  ]);
  const { state, outputs } = runReference(step, new Map(feed));
  const loss = (outputs[0] as NdArray).data[0] as number;
  return { loss, of: (name) => (state.get(momentum(name)) as NdArray).data };
}

async function compiledStep(name: string, step: Graph, values: Values): Promise<Gradients> {
  const artefact = await compiled(`first_step_${name}`, [step]);
  const given = (v: Value) =>
    toValues(v.type, new NdArray(v.type.shape, values.get(v.name) ?? new Float64Array(elements(v.type.shape))));
  for (const s of step.state) artefact.set(s.name, given(s));
  const out = await artefact.run(step.name, Object.fromEntries(step.inputs.map((v) => [v.name, given(v)])));
  return { loss: Number(out.loss?.[0]), of: (name) => artefact.get(momentum(name)) as Float32Array };
}

/** PyTorch's loss and gradients, and the distances of its own in f32 from these. */
function torch(
  python: string,
  file: string,
  { feature, size, images, names }: { feature: string; size: number; images: number; names: readonly string[] },
  values: Values,
): { readonly loss: number; readonly all: Float64Array; readonly rounding: readonly number[] } {
  const dir = join(root, "build", "test");
  mkdirSync(dir, { recursive: true });
  const scratch = mkdtempSync(join(dir, "first-step-"));
  const at = (leaf: string): string => join(scratch, leaf);
  const numbers = (name: string): Float64Array => values.get(name) as Float64Array;
  writeFileSync(at("img"), Uint8Array.from(numbers("img")));
  for (const name of ["fc.weight", "fc.bias"]) writeFileSync(at(name), Float32Array.from(numbers(name)));
  const asked = {
    ...{ model: file, feature, size, images, classes: CLASSES, ...imagenet, target: [...numbers("target")], names },
    folder: scratch,
  };
  writeFileSync(at("asked.json"), JSON.stringify(asked));
  const script = join(root, "test", "models", "first_step_check.py");
  const r = spawnSync(python, [script, at("asked.json")], { encoding: "utf8" });
  if (r.status !== 0) throw new Error(r.stderr);
  const { loss, rounding } = JSON.parse(readFileSync(at("results.json"), "utf8"));
  const bytes = readFileSync(at("gradients"));
  rmSync(scratch, { recursive: true });
  return { loss, rounding, all: new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8) };
}

function distance(got: ArrayLike<number>, want: Float64Array): number {
  return Math.sqrt(want.reduce((sum, w, i) => sum + ((got[i] as number) - w) ** 2, 0));
}

/** The first step of training the network in a file, by ours and by PyTorch. */
export async function firstStep(python: string, file: string, o: FirstStepOptions): Promise<FirstStep> {
  const { images, size } = o;
  const model = readModel(file);
  const name = `${basename(dirname(file))}_${basename(dirname(dirname(file))).replace("-", "_")}_${size}`;
  const found = findHead(model);
  const head = { ...found, feature: o.feature ?? found.feature };
  const options = { input: imageInput(model), head, keep: false, frozen: () => false, freezeBatchNorm: false };
  const foreign = new ForeignNetwork(model, { ...options, pixels: imagenet }, size);
  const sizes = { arch: name, width: 1, num_class: CLASSES, image_size: size, batch: images, groups: 1 };
  const step = classifierPrograms({ ...sizes, foreign })[0] as Graph;

  const next = uniform(11);
  const bound = 1 / Math.sqrt(foreign.facts.featureSize);
  const drawn = (n: number): Float64Array =>
    Float64Array.from({ length: n }, () => Math.fround(bound * (2 * next() - 1)));
  const values: Values = new Map([
    ...[...foreign.facts.values].map(([s, t]) => [s, Float64Array.from(numbersIn(t))] as const),
    ["fc.weight", drawn(CLASSES * foreign.facts.featureSize)],
    ["fc.bias", drawn(CLASSES)],
    ["img", Float64Array.from(striped(images, size))],
    ["target", Float64Array.from({ length: images }, (_, i) => i % CLASSES)],
    ["hyper.momentum", Float64Array.of(0.9)], // the learning rate and the weight decay are 0
  ]);
  const params = step.state.filter((s) => s.role === "param");
  const original = new Map(model.graph.nodes.flatMap((n) => n.inputs).map((own) => [fitName(own), own]));
  const names = params.map((s) => original.get(s.name) ?? s.name);
  const want = torch(python, file, { feature: head.feature, size, images, names }, values);

  const exact = o.by.includes("evaluator") ? evaluated(step, values) : undefined;
  const rounded = o.by.includes("compiled") ? await compiledStep(name, step, values) : undefined;
  let end = 0;
  const gradients = params.map((s, i): Compared => {
    const own = want.all.subarray(end, end + elements(s.type.shape));
    end += own.length;
    const from = (g: Gradients | undefined): number | undefined => g && distance(g.of(s.name), own);
    const norm = Math.sqrt(own.reduce((sum, w) => sum + w ** 2, 0));
    return { name: s.name, norm, exact: from(exact), compiled: from(rounded), rounding: want.rounding[i] as number };
  });
  if (end !== want.all.length) throw new Error(`${want.all.length} numbers of gradients, not ${end}`);
  return { losses: [want, exact, rounded].flatMap((g) => (g ? [g.loss] : [])), gradients };
}

/** The largest distance of the parameters' gradients from PyTorch's, relative to the norm of PyTorch's. */
export interface Worst {
  readonly error: number;
  readonly at: string;
}

/** What the evaluator's gradients may differ by: in f64, 50 layers amplify the rounding to 2e-11. */
export const EXACT = 1e-9;

/** Of all gradients, a norm that counts as 0: smaller ones are what is left where sums cancel out. */
const NOTHING = 1e-5;

/** The largest relative distances of the gradients that are there, by what computed them. */
export function worst({ gradients }: FirstStep): Readonly<Record<"exact" | "compiled" | "rounding", Worst>> {
  const least = NOTHING * Math.max(...gradients.map((g) => g.norm));
  const of = (what: "exact" | "compiled" | "rounding"): Worst =>
    gradients.reduce<Worst>(
      (most, g) => {
        const error = (g[what] ?? 0) / Math.max(g.norm, least);
        return error <= most.error ? most : { error, at: g.name }; // NaN is the worst
      },
      { error: 0, at: "" },
    );
  return { exact: of("exact"), compiled: of("compiled"), rounding: of("rounding") };
}

/** How many gradients are nothing beside the largest one. */
export const vanishing = ({ gradients }: FirstStep): number => {
  const most = Math.max(...gradients.map((g) => g.norm));
  return gradients.filter((g) => g.norm < NOTHING * most).length;
};
