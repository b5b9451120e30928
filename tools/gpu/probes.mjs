// Makes artefacts of the probes (kernels/cuda/probes.cuh): a program with one launch per primitive, and its inputs.

import { byteSize } from "../../build/js/compiler/ir/types.js";
import { ALIGN } from "../../build/js/compiler/lower/plan.js";
import { writeSafetensors } from "../../build/js/compiler/util/safetensors_writer.js";
import { random } from "./values.mjs";

const f32 = (...shape) => ({ dtype: "f32", shape });
const bf16 = (...shape) => ({ dtype: "bf16", shape });
const inputs = { floats: f32(1024), halves: bf16(1 << 15) };

/** [name, C++, input, type of the result, threads, bytes of shared memory, other properties of the launch] */
const everywhere = [
  ["mma_bf16", "probe_mma_bf16", "halves", f32(16, 8), 32, 0],
  ["mma_tf32", "probe_mma_tf32", "floats", f32(16, 8), 32, 0],
  ["to_tf32", "probe_to_tf32", "floats", f32(32), 32, 0],
  ["ldmatrix", "probe_ldmatrix<false>", "halves", bf16(256), 32, 512],
  ["ldmatrix_trans", "probe_ldmatrix<true>", "halves", bf16(256), 32, 512],
  ["cp_async", "probe_cp_async", "floats", f32(32, 12), 32, 1536],
  ["named_barrier", "probe_named_barrier", "floats", f32(128), 128, 512],
];
const wgmma = (n, a, b) => [
  `wgmma_n${n}_${a ? "across" : "along"}_${b ? "across" : "along"}`,
  `probe_wgmma<${n}, ${a}, ${b}>`,
  "halves",
  f32(64, n),
  128,
  (64 + n) * 128,
];
const pixels = (step) => ({
  // 3 x 3 windows with padding 1 over images of 13 x 11
  extent: [3 * step - 1, step - 1],
  maps: [
    {
      extents: [64, 13, 11, 3],
      box: [64, 64],
      window: {
        lower: [-1, -1],
        upper: [-1 + Math.floor(12 / step) * step - 12, -1 + Math.floor(10 / step) * step - 10],
        step,
      },
    },
  ],
});
const hopper = [
  ...[64, 128, 192].flatMap((n) =>
    [
      [false, false],
      [false, true],
      [true, true],
    ].map(([a, b]) => wgmma(n, a, b)),
  ),
  [
    "tma_box",
    "probe_tma_box",
    "halves",
    bf16(64, 64),
    128,
    8200,
    { extent: [16, 8, 1], maps: [{ extents: [72, 40, 3], box: [64, 64, 1] }] },
  ],
  ["tma_pixels", "probe_tma_pixels", "halves", bf16(64, 64), 128, 8200, pixels(1)],
  ["tma_pixels_stride2", "probe_tma_pixels", "halves", bf16(64, 64), 128, 8200, pixels(2)],
  ["mbarrier", "probe_mbarrier", "floats", f32(256), 64, 528],
  ["wgmma_rounds", "probe_wgmma_rounds", "halves", f32(64, 64), 256, 32800],
];

/** A plan of one program, "primitives", for `arch`: those that all GPUs have, or those of sm_90a. */
export function probePlan(arch, ofHopper) {
  const probes = ofHopper ? hopper : everywhere;
  const tensors = [];
  let io = 0;
  const tensor = (name, type) => {
    tensors.push({ name, type, arena: "io", offset: io });
    io += Math.ceil(byteSize(type) / ALIGN) * ALIGN;
    return tensors.length - 1;
  };
  const read = Object.fromEntries(
    Object.entries(inputs).map(([name, type]) => [name, tensor(`primitives/${name}`, type)]),
  );
  const kernels = [];
  const steps = probes.map(([name, call, from, result, threads, sharedBytes, { extent = [], maps = [] } = {}], i) => {
    const symbol = `probe_${name}`;
    const entry =
      `extern "C" __global__ void __launch_bounds__(${threads}) ${symbol}(const __grid_constant__ Params p) { ` +
      `moproc::${call}(p); }`;
    // a fatbin also has PTX for other GPUs
    const source = `#if ${ofHopper ? "defined(MOPROC_SM90)" : 1}\n${entry}\n#endif\n`;
    kernels.push({ symbol, template: symbol, header: "probes", source, threads, sharedBytes });
    return {
      do: "launch",
      kernel: i,
      name,
      args: [read[from], tensor(`primitives/${name}`, result)],
      rows: 1,
      groups: 1,
      extent,
      tasks: [1],
      workspace: 0,
      scalars: [],
      flops: 0,
      bytes: 0,
      maps: maps.map((m) => ({ arg: 0, ...m })),
    };
  });
  const none = { liveBytesMax: 0, workBytes: 0 };
  return {
    version: 2,
    name: "primitives",
    target: { device: "cuda", arch, ranks: [1], precision: "bf16" },
    meta: {},
    arenas: { state: 0, grad: 0, work: 0, io },
    scratchBytes: 0,
    tensors,
    state: [],
    kernels,
    programs: [
      {
        name: "primitives",
        ranks: 1,
        inputs: Object.values(read),
        outputs: steps.map((s) => s.args[1]),
        steps,
        ...none,
      },
      { name: "refresh", ranks: 0, inputs: [], outputs: [], steps: [], ...none },
    ],
  };
}

/** Writes the inputs of the probes. */
export function writeProbeValues(path) {
  const next = random(7);
  const floats = Float32Array.from({ length: inputs.floats.shape[0] }, () => next() * 2 - 1);
  const halves = Uint16Array.from({ length: inputs.halves.shape[0] }, () => {
    const f = Float32Array.of(next() * 2 - 1);
    return new Uint32Array(f.buffer)[0] >>> 16;
  });
  const entry = (name, dtype, values) => ({
    name,
    dtype,
    shape: inputs[name].shape,
    bytes: new Uint8Array(values.buffer),
  });
  writeSafetensors(path, [entry("floats", "F32", floats), entry("halves", "BF16", halves)], {
    format: "moproc-values-1",
  });
}
