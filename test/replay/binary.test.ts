// Replays by the training binary of a tiny MoPro with two groups: images as bytes and as f32, artefacts that keep all
// values, dumps, and the comparison tool's reports about them.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { NdArray } from "../../compiler/ir/nd.js";
import { root } from "../../compiler/util/root.js";
import { imagenet } from "../../models/nn.js";
import { nativeTarget, relativeError, toValues } from "../support/compiled.js";
import {
  compareRuns,
  compileMopro,
  openRun,
  type Report,
  readSafetensors,
  replay,
  replayTool,
  run,
  type Tensor,
  writeReplay,
  writeSafetensors,
} from "../support/replay.js";
import { batch, config, given, program, start } from "../support/tiny_mopro.js";
import { hyperInputs, type Inputs, run as reference } from "../support/training.js";

const scratch = join(root, "build", "test");
mkdirSync(scratch, { recursive: true });
const folder = mkdtempSync(join(scratch, "replay-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const artefacts = Promise.all([
  compileMopro("replay", config, { ...nativeTarget, ranks: [1, 2] }),
  compileMopro("replay_f32", { ...config, image_input: "f32" }),
  compileMopro("replay_keep", { ...config, keep_values: true }),
]);
const orders = [
  [3, 0, 6, 1, 7, 2, 5, 4],
  [7, 6, 5, 4, 3, 2, 1, 0],
  [0, 4, 1, 5, 2, 6, 3, 7],
];
const steps = (["warmup", "proto", "clean"] as const).map((phase, i) => ({
  phase,
  lr: 0.05,
  epoch: [0, 1, 11][i] as number,
}));

/** The batch of tiny_mopro split into its groups, as the tensors of a step. */
function stepTensors(step: number, inputs: Inputs, asImage: (x: NdArray) => Tensor["data"]): [string, Tensor][] {
  const size = config.image_size;
  const half = config.batch / 2;
  const part = (data: Tensor["data"], r: number): Tensor["data"] =>
    data.slice((data.length / 2) * r, (data.length / 2) * (r + 1)) as Tensor["data"];
  const ranks = [0, 1].flatMap((r): [string, Tensor][] => [
    ...(["img", "img_aug"] as const).map((name): [string, Tensor] => [
      `step${step}.rank${r}.${name}`,
      { shape: [half, 3, size, size], data: part(asImage(inputs[name] as NdArray), r) },
    ]),
    [
      `step${step}.rank${r}.target`,
      { shape: [half], data: BigInt64Array.from(given.slice(half * r, half * (r + 1)), BigInt) },
    ],
  ]);
  return [
    ...ranks,
    [`step${step}.idx_shuffle`, { shape: [config.batch], data: BigInt64Array.from(orders[step] as number[], BigInt) }],
  ];
}

const bytes = (x: NdArray): Tensor["data"] => Uint8Array.from(x.data);
/** Normalised as the compiled programs do it: one rounding an operation. */
const floats = (x: NdArray): Tensor["data"] => {
  const pixels = config.image_size ** 2;
  return Float32Array.from(x.data, (v, i) => {
    const c = Math.floor(i / pixels) % 3;
    const [mean, std] = [Math.fround(imagenet.mean[c] as number), Math.fround(imagenet.std[c] as number)];
    return Math.fround(Math.fround(Math.fround(v / 255) - mean) / std);
  });
};

const initial = start();
const states = program("clean").state.map((s): [string, Tensor] => [
  `step0.state.${s.name}`,
  { shape: s.type.shape, data: toValues(s.type, initial.get(s.name) as NdArray) },
]);
const file = (name: string, asImage: (x: NdArray) => Tensor["data"]): string =>
  writeReplay(
    join(folder, name),
    steps,
    new Map([...states, ...steps.flatMap((_, i) => stepTensors(i, batch(orders[i]), asImage))]),
  );
const [u8File, f32File] = [file("bytes.safetensors", bytes), file("floats.safetensors", floats)];
const hyper = ["--moco_m", "0.9", "--proto_m", "0.8", "--pseudo_th", "0.4"];

test.serial(
  "a replay computes what the reference evaluator does: losses and counts of every group, labels, state",
  async (t) => {
    const [dir] = await artefacts;
    const trace = replay(dir, join(folder, "plain"), u8File, hyper, true);
    let at = initial;
    for (const [i, own] of trace.steps.entries()) {
      const lr = (steps[i] as { lr: number }).lr;
      const inputs = {
        ...batch(orders[i]),
        ...hyperInputs({ lr, moco_m: 0.9, proto_m: 0.8, pseudo_th: 0.4 }),
      };
      const want = reference(program(own.phase), at, inputs);
      for (const name of ["loss", "loss_cls", "loss_inst", "loss_proto"] as const) {
        const values = want.outputs[name]?.data ?? [null, null];
        values.forEach((v, g) => {
          const got = own[name][g];
          if (v === null) t.is(got, null, `step ${i}: ${name}`);
          else
            t.true(Math.abs((got as number) - v) <= 1e-4 * Math.abs(v), `step ${i}: ${name}[${g}] is ${got}, not ${v}`);
        });
      }
      const labels = want.outputs.target_out?.data;
      t.deepEqual(own.target.flat(), labels ? [...labels] : [null, null]);
      t.deepEqual(own.clean, want.outputs.clean ? [...want.outputs.clean.data] : [null, null]);
      const kept = want.outputs.clean?.data ?? [4, 4];
      t.deepEqual(
        own.acc_cls,
        [0, 1].map((g) =>
          kept[g] === 0 ? null : (100 * (want.outputs.correct_cls?.data[g] as number)) / (kept[g] as number),
        ),
      );
      t.deepEqual(
        own.acc_inst,
        [0, 1].map((g) => (100 * (want.outputs.correct_inst?.data[g] as number)) / 4),
      );
      at = want.states;
    }
    const last = readSafetensors(join(folder, "plain", "step_000002.safetensors")).tensors;
    for (const name of ["encoder_q.fc1.weight", "encoder_k.conv1.weight", "queue", "prototypes"]) {
      const want = at.get(name) as NdArray;
      const got = {
        ...want,
        data: Float64Array.from((last.get(name) as Tensor).data as Float32Array),
      } as NdArray;
      t.true(relativeError(got, want) < 1e-3, `${name}: ${relativeError(got, want)}`);
    }
    t.deepEqual(
      Object.keys(trace.tensors),
      [...program("clean").state].map((s) => s.name),
    );
  },
);

test.serial("a replay by two ranks is the replay by one, to the bit", async (t) => {
  const [dir] = await artefacts;
  const [one, two] = [join(folder, "one"), join(folder, "two")];
  const trace = replay(dir, one, u8File, hyper, true);
  t.deepEqual(replay(dir, two, u8File, [...hyper, "--nproc-per-node", "2"], true), trace);
  for (const i of [0, 1, 2]) {
    const [a, b] = [one, two].map((f) => readSafetensors(join(f, `step_00000${i}.safetensors`)));
    t.is(b?.metadata.sha256, a?.metadata.sha256, `state after step ${i}`);
  }
});

test.serial("an artefact for f32 images computes the same bits, from bytes and from f32", async (t) => {
  const [dir, f32] = await artefacts;
  const text = (where: string): string => readFileSync(join(folder, where, "trace.json"), "utf8");
  replay(dir, join(folder, "a"), u8File, hyper);
  replay(f32, join(folder, "b"), u8File, hyper);
  replay(f32, join(folder, "c"), f32File, hyper);
  t.is(text("b"), text("a"));
  t.is(text("c"), text("a"));
  t.throws(() => replay(dir, join(folder, "d"), f32File), {
    message: /floats\.safetensors: step 0: tensor step0\.rank0\.img is f32, .*--image-input f32/,
  });
  const trained = run(join(f32, "train"), ["--synthetic", "--steps", "1"]);
  t.is(trained.status, 2);
  t.regex(trained.err, /takes f32 images.*only --replay feeds/);
});

test.serial("a step that keeps all values computes the same bits, and dumps them", async (t) => {
  const [dir, , keep] = await artefacts;
  const own = replay(dir, join(folder, "e"), u8File, hyper, true);
  replay(keep, join(folder, "f"), u8File, [...hyper, "--dump-step", "1", "--dump", join(folder, "dump")]);
  t.is(readFileSync(join(folder, "f", "trace.json"), "utf8"), readFileSync(join(folder, "e", "trace.json"), "utf8"));

  const path = join(folder, "dump", "step_000001.safetensors");
  const { tensors } = readSafetensors(path);
  t.deepEqual(
    [...(tensors.get("loss") as Tensor).data],
    own.steps[1]?.loss.map((x) => Math.fround(x as number)),
  );
  const [before, after] = [0, 1].map((i) => readSafetensors(join(folder, "e", `step_00000${i}.safetensors`)).tensors);
  const at = (state: ReadonlyMap<string, Tensor> | undefined, name: string): Float32Array =>
    state?.get(name)?.data as Float32Array;
  const name = "encoder_q.conv1.weight";
  const gradient = at(tensors, `grad.${name}`);
  const [v, next, p] = [
    at(before, `optimizer.momentum.${name}`),
    at(after, `optimizer.momentum.${name}`),
    at(before, name),
  ];
  const norm = Math.hypot(...gradient);
  const off = Math.hypot(
    ...gradient.map((g, i) => g - ((next[i] as number) - 0.9 * (v[i] as number) - 1e-4 * (p[i] as number))),
  );
  t.true(off < 1e-5 * norm, `${off / norm}`);
  t.true(Math.abs(norm - (own.steps[1]?.grad_l2[name] as number)) < 1e-5 * norm);

  t.is(replayTool("bisect", path, path).status, 0);
  for (const [value, index] of [
    ["encoder_q.layer2.0.conv1.conv", 17],
    ["grad.encoder_q.layer1.0.conv1.weight", 30],
  ] as const) {
    const { shape, data } = tensors.get(value) as Tensor;
    const changed = Float32Array.from(data as Float32Array);
    changed[index] = (changed[index] as number) + 1;
    const other = join(folder, "changed.safetensors");
    writeSafetensors(other, new Map([...tensors, [value, { shape, data: changed }]]), {});
    const found = replayTool("bisect", path, other, "--json");
    t.is(found.status, 1, found.err);
    const { beyond } = JSON.parse(found.out) as { beyond: { tensor: string; index: number[] } };
    t.is(beyond.tensor, value);
    t.is(
      beyond.index.reduce((i, x, d) => i * (shape[d] as number) + x, 0),
      index,
    );
    t.true(replayTool("bisect", path, other).out.includes(`first beyond tolerance: ${value}: [${beyond.index}]`));
  }
});

test.serial("dumps of training without a replay; what cannot be dumped is said", async (t) => {
  const [dir, , keep] = await artefacts;
  const dump = join(folder, "synthetic");
  const ok = run(join(keep, "train"), ["--synthetic", "--steps", "2", "--dump-step", "1", "--dump", dump]);
  t.is(ok.status, 0, ok.err);
  t.true(existsSync(join(dump, "step_000001.safetensors")));
  const refused = (binary: string, args: readonly string[], says: RegExp): void => {
    const r = run(join(binary, "train"), args);
    t.is(r.status, 2);
    t.regex(r.err, says);
  };
  refused(
    keep,
    ["--synthetic", "--steps", "2", "--dump-step", "2", "--dump", dump],
    /--dump-step 2: the run ended after 2 steps/,
  );
  refused(dir, ["--synthetic", "--dump-step", "0", "--dump", dump], /stores only the values .* --keep-values/);
  const flags = ["--replay", u8File, "--trace", join(folder, "t.json"), "--dump", dump];
  refused(keep, [...flags, "--dump-step", "3"], /--dump-step 3: .*bytes\.safetensors has 3 steps/);
});

test.serial("moproc train passes the flags of a replay on", async (t) => {
  const [dir] = await artefacts;
  const main = join(root, "build", "js", "tools", "cli", "main.js");
  const trace = join(folder, "cli.json");
  const r = run(process.execPath, [
    main,
    "train",
    "--artefact",
    dir,
    "--image-input",
    "u8",
    "--replay",
    u8File,
    "--trace",
    trace,
    "--trace-state",
    join(folder, "cli"),
    ...hyper,
  ]);
  t.is(r.status, 0, r.err);
  t.true(existsSync(join(folder, "cli", "step_000002.safetensors")));
  t.is(readFileSync(trace, "utf8"), readFileSync(join(folder, "a", "trace.json"), "utf8"));
});

/** A folder with the run of `plain`, something in it changed. */
function planted(name: string, change: (tensors: Map<string, Tensor>) => void, step: number): string {
  const to = join(folder, name);
  mkdirSync(to, { recursive: true });
  for (const f of ["trace.json", "step_000000.safetensors", "step_000001.safetensors", "step_000002.safetensors"]) {
    const from = join(folder, "plain", f);
    if (!f.endsWith(`${step}.safetensors`)) run("cp", [from, to]);
    else {
      const { tensors, metadata } = readSafetensors(from);
      change(tensors);
      writeSafetensors(join(to, f), tensors, metadata);
    }
  }
  return to;
}

test.serial("compare: a change of one tensor in one step is found there, and nowhere else", (t) => {
  const plain = join(folder, "plain");
  t.is(replayTool("compare", plain, plain, "--replay", u8File).status, 0);
  const reference = openRun(plain);
  const compare = (b: string): Report => compareRuns(reference, openRun(b), { replay: u8File });
  const add = (name: string, by: number) => (tensors: Map<string, Tensor>) => {
    const data = Float32Array.from((tensors.get(name) as Tensor).data as Float32Array);
    data[3] = (data[3] as number) + by;
    tensors.set(name, { ...(tensors.get(name) as Tensor), data });
  };
  for (const [name, step, phase] of [
    ["encoder_k.layer3.0.conv1.weight", 1, "proto"],
    ["prototypes", 2, "clean"],
    ["encoder_q.bn1.running_mean", 0, "warmup"],
  ] as const) {
    const { first, beyond } = compare(planted(`planted-${name}`, add(name, 0.1), step));
    t.like(first, { step, phase, tensor: name });
    t.like(beyond, { step, phase, tensor: name });
  }
  const momentum = "optimizer.momentum.encoder_q.fc2.weight"; // first comes the gradient that is made of it
  t.like(compare(planted("planted-momentum", add(momentum, 0.1), 1)).beyond, {
    step: 1,
    phase: "proto",
    tensor: "grad.encoder_q.fc2.weight",
  });
  const small = compare(planted("planted-small", add("queue", 1e-7), 2));
  t.like(small.first, { step: 2, phase: "clean", tensor: "queue" });
  t.true((small.first?.ulp ?? 0) >= 1 && (small.first?.ulp ?? 0) < 100);
  t.is(small.beyond, undefined, "within tolerance");
  const pointer = (tensors: Map<string, Tensor>): void =>
    void tensors.set("queue_ptr", { shape: [1], data: BigInt64Array.of(5n) });
  t.like(compare(planted("planted-pointer", pointer, 1)).beyond, { step: 1, tensor: "queue_ptr" });
});
