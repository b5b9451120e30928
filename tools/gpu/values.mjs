// States and inputs of training steps, in the files in which a GPU gets them.

import { load } from "node-cuda-rt";
import { writeSafetensors } from "../../build/js/compiler/util/safetensors_writer.js";

/** Numbers in [0, 1), the same for a seed on every machine (mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const hyper = {
  lr: 0.01,
  momentum: 0.9,
  weight_decay: 1e-4,
  moco_m: 0.99,
  proto_m: 0.9,
  temperature: 0.3,
  alpha: 0.5,
  pseudo_th: 0.5,
  w_inst: 1,
  w_proto: 1,
};

const elements = (shape) => shape.reduce((a, b) => a * b, 1);
const kinds = { f32: ["F32", Float32Array], i64: ["I64", BigInt64Array], u8: ["U8", Uint8Array] };

/** Inputs of step i: images with a class's colour under noise, some labels wrong, the keys in a random order. */
export function inputsOf(program, i, classes) {
  const next = random(1000 + i);
  const draw = (n) => Math.floor(next() * n);
  const named = Object.fromEntries(program.inputs.map((v) => [v.name.slice(v.name.indexOf("/") + 1), v]));
  const batch = named.target.shape[0];
  const truth = Array.from({ length: batch }, () => draw(classes));
  const order = truth.map((_, n) => n);
  for (let n = batch - 1; n > 0; n--) {
    const m = draw(n + 1);
    [order[n], order[m]] = [order[m], order[n]];
  }
  const image = ({ shape }) => {
    const size = elements(shape.slice(2));
    return Uint8Array.from({ length: elements(shape) }, (_, e) => {
      const [n, channel] = [Math.floor(e / (3 * size)), Math.floor(e / size) % 3];
      return ((truth[n] * 67 + channel * 91) % 128) + draw(128);
    });
  };
  const values = {
    img: () => image(named.img),
    img_aug: () => image(named.img_aug),
    target: () => BigInt64Array.from(truth, (y) => BigInt(next() < 0.3 ? draw(classes) : y)),
    order: () => BigInt64Array.from(order, BigInt),
  };
  return Object.fromEntries(
    Object.keys(named).map((name) => [name, values[name]?.() ?? Float32Array.of(hyper[name.slice("hyper.".length)])]),
  );
}

const tensor = (name, dtype, shape, values) => ({
  name,
  dtype: kinds[dtype][0],
  shape,
  bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
});

/** States of a loaded artefact after `initState(1)`, each "PREFIX NAME". */
const states = (artefact, prefix) =>
  artefact.state
    .filter((s) => s.role !== "derived")
    .map((s) => tensor(prefix + s.name, s.dtype, s.shape, artefact.get(s.name)));

const inputTensors = (program, values, prefix) =>
  program.inputs.map((v) => {
    const name = v.name.slice(v.name.indexOf("/") + 1);
    return tensor(prefix + name, v.dtype, v.shape, values[name]);
  });

/** Writes the inputs of `steps`, names of programs (tools/gpu/steps.h). */
export function writeSteps(dir, path, steps, classes) {
  const artefact = load(dir);
  const tensors = steps.flatMap((name, i) => {
    const program = artefact.programs.find((p) => p.name === name);
    return inputTensors(program, inputsOf(program, i, classes), `${i} `);
  });
  writeSafetensors(path, tensors, { format: "moproc-steps-1", steps: steps.join(" ") });
}

/**
 * Writes the states and inputs from which launches are recorded: those of the CPU artefact after `steps` steps of
 * warm-up.
 */
export async function writeValues(dir, path, name, classes, warmUp) {
  const artefact = load(dir);
  artefact.initState(1);
  for (const [i, step] of warmUp.entries()) {
    const program = artefact.programs.find((p) => p.name === step);
    await artefact.run(step, inputsOf(program, i, classes));
  }
  const program = artefact.programs.find((p) => p.name === name);
  const values = inputsOf(program, warmUp.length, classes);
  writeSafetensors(path, [...states(artefact, ""), ...inputTensors(program, values, "")], {
    format: "moproc-values-1",
  });
}
