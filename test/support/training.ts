// Runs training programs in the reference evaluator: initial states by their Init, and a step as a map of states.

import { evaluate } from "../../compiler/ir/evaluate.js";
import { NdArray } from "../../compiler/ir/nd.js";
import type { Graph, Init, Value } from "../../compiler/ir/types.js";
import { randomArray, uniform } from "./random.js";

export type States = ReadonlyMap<string, NdArray>;
export type Inputs = Readonly<Record<string, NdArray>>;

/** Initial values of all states of `g`, as in the runtime except for the random numbers. */
export function initialStates(g: Graph, seed: number): States {
  const states = new Map<string, NdArray>();
  for (const [i, s] of g.state.entries()) states.set(s.name, initial(s.init, s.type.shape, seed + i, states));
  return states;
}

function initial(init: Init, shape: readonly number[], seed: number, known: States): NdArray {
  switch (init.kind) {
    case "constant":
      return NdArray.fill(shape, () => init.value);
    case "uniform":
      return randomArray(shape, seed, -init.bound, init.bound);
    case "normal": {
      const next = uniform(seed);
      const draw = (): number => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
      return NdArray.fill(shape, () => Math.fround(init.std * draw()));
    }
    case "unit_columns": {
      const x = randomArray(shape, seed);
      const [rows, columns] = shape as [number, number];
      const norm = Array.from({ length: columns }, (_, c) =>
        Math.hypot(...Array.from({ length: rows }, (_, r) => x.at(r, c))),
      );
      return NdArray.fill(shape, (i) => Math.fround((x.data[i] as number) / (norm[i % columns] as number)));
    }
    case "copy":
      return known.get(init.of) as NdArray;
    default:
      throw new Error(`unknown init ${JSON.stringify(init satisfies never)}`);
  }
}

export interface StepResult {
  readonly outputs: Readonly<Record<string, NdArray>>; // by name
  readonly states: States; // all states after the step
  readonly value: (name: string) => NdArray; // any value of the graph
}

/** Runs `g` once. Throws if an input or a state is missing. */
export function run(g: Graph, states: States, inputs: Inputs): StepResult {
  const feed = new Map<Value, NdArray>();
  for (const v of g.inputs) feed.set(v, needed(inputs[v.name], v));
  for (const v of g.state) feed.set(v, needed(states.get(v.name), v));
  const env = evaluate(g, feed);
  const byName = new Map([...env].map(([v, x]) => [v.name, x]));
  const after = new Map(states);
  for (const [s, v] of g.updates) after.set(s.name, env.get(v) as NdArray);
  return {
    outputs: Object.fromEntries(g.outputs.map((v) => [v.name, env.get(v) as NdArray])),
    states: after,
    value: (name) => {
      const x = byName.get(name);
      if (!x) throw new Error(`no value %${name} in ${g.name}`);
      return x;
    },
  };
}

function needed(x: NdArray | undefined, v: Value): NdArray {
  if (!x) throw new Error(`no value for %${v.name}`);
  return x;
}

/** Published hyper-parameters, as inputs of a step program. */
export const published: Readonly<Record<string, number>> = {
  lr: 0.1,
  momentum: 0.9,
  weight_decay: 1e-4,
  moco_m: 0.999,
  proto_m: 0.999,
  temperature: 0.1,
  alpha: 0.5,
  pseudo_th: 0.8,
  w_inst: 1,
  w_proto: 1,
};

/** hyper.NAME inputs: the published values, with `changed` instead of some. */
export const hyperInputs = (changed: Readonly<Record<string, number>> = {}): Inputs =>
  Object.fromEntries(
    Object.entries({ ...published, ...changed }).map(([k, v]) => [`hyper.${k}`, NdArray.scalar(Math.fround(v))]),
  );

/** Random u8 images [n, 3, size, size]: for each, a coarse pattern of its class, with noise. */
export function images(labels: readonly number[], size: number, seed: number): NdArray {
  const noise = uniform(seed);
  const cell = Math.ceil(size / 4);
  return NdArray.fill([labels.length, 3, size, size], (i) => {
    const [x, y, c] = [i % size, Math.floor(i / size) % size, Math.floor(i / (size * size)) % 3];
    const label = labels[Math.floor(i / (3 * size * size))] as number;
    const pattern = uniform(label * 1000 + c * 100 + Math.floor(y / cell) * 10 + Math.floor(x / cell))();
    return Math.floor(60 + 130 * pattern + 60 * noise());
  });
}

/** Rows [begin, end) of x. */
export function rows(x: NdArray, begin: number, end: number): NdArray {
  const width = x.data.length / (x.shape[0] as number);
  return new NdArray([end - begin, ...x.shape.slice(1)], x.data.slice(begin * width, end * width));
}
