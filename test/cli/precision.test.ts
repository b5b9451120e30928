// Training in bf16 on the CPU by the command line: the same bits for threads, ranks, kinds of CPU and after a stop; the
// verbs that use the checkpoint; what is said about precisions.

import { writeFileSync } from "node:fs";
import test from "ava";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";
import { cpuArch, v4 } from "../../tools/cli/cpu.js";
import { cpuRates, faster, precisionNote } from "../../tools/cli/precision.js";
import { archs, hasAmx } from "../support/bf16_cases.js";
import { Shell } from "../support/cli.js";
import { networks } from "../support/foreign_networks.js";

const shell = new Shell("precision");
test.after.always(() => shell.remove());

const network = "-a resnet10 --width 0.125 -b 16 --bn-groups 2 --image-size 33 --low-dim 16 --moco_queue 64".split(" ");
/** With the best instructions of this CPU whose bits are those of all CPUs. */
const half = ["--precision", "bf16", "--target-arch", archs.at(-1) as string];
const run = "--data data --start_clean_epoch 1 --pseudo_th 0.4 --lr 0.02 --quiet".split(" ");
const last = "checkpoint_0001.safetensors";

/** The digest of all tensors of a checkpoint. */
function digestOf(exp: string): string {
  const file = SafetensorsFile.open(shell.at(exp, last));
  const digest = file.dataDigest();
  file.close();
  return digest;
}

const train = (exp: string, ...flags: readonly string[]): string =>
  shell.done("train", ...network, ...half, ...run, "--epochs", "2", "--exp-dir", exp, ...flags);

test.before(() => {
  shell.done(..."data sample --out data --classes 4 --images 128 --val 32 --size 40".split(" "));
  train("one", "--threads", "1");
});

test.serial("two threads", (t) => {
  train("threads", "--threads", "2");
  t.is(digestOf("threads"), digestOf("one"));
});

test.serial("two ranks", (t) => {
  train("ranks", "--nproc-per-node", "2");
  t.is(digestOf("ranks"), digestOf("one"));
});

test.serial("a run that stopped and continues on a CPU with other instructions", (t) => {
  train("moved", "--steps", "5");
  train("moved", "--resume", "auto", "--target-arch", "x86-64-v3");
  t.is(digestOf("moved"), digestOf("one"));
});

if (hasAmx)
  test.serial("AMX: other bits, but the same ones for threads, ranks and after a stop", (t) => {
    const amx = (exp: string, ...flags: readonly string[]): string => train(exp, "--target-arch", "native", ...flags);
    amx("amx", "--threads", "1");
    t.not(digestOf("amx"), digestOf("one"));
    amx("amx_threads", "--threads", "2");
    amx("amx_ranks", "--nproc-per-node", "2");
    amx("amx_stopped", "--steps", "5");
    amx("amx_stopped", "--resume", "auto");
    for (const exp of ["amx_threads", "amx_ranks", "amx_stopped"]) t.is(digestOf(exp), digestOf("amx"), exp);
    amx("amx_moved", "--steps", "5");
    const moved = [...network, ...half, ...run, "--epochs", "2", "--exp-dir", "amx_moved", "--resume", "auto"];
    const r = shell.moproc("train", ...moved);
    t.regex(r.err + r.out, /goes on with changes: another build \(the run continues, but its bits may differ\)/);
  });

test.serial("f32 is another run; its checkpoint evaluates in both, and continues in bf16, which is said", (t) => {
  shell.done("train", ...network, ...run, "--epochs", "2", "--exp-dir", "whole");
  t.not(digestOf("whole"), digestOf("one"));
  const more = shell.moproc(
    ...["train", ...network, ...half, ...run, "--exp-dir", "whole", "--resume", "auto", "--epochs", "3"],
  );
  t.is(more.status, 0, more.err);
  t.regex(more.err + more.out, /goes on with changes: .*--precision f32 -> bf16/);
  t.is(shell.metrics("whole").findLast((m) => m.event === "start")?.precision, "bf16");
  const back = shell.moproc(
    ...["train", ...network, "--precision", "f32", ...run, "--exp-dir", "one", "--resume", "auto", "--epochs", "3"],
  );
  t.regex(back.err + back.out, /goes on with changes: .*--precision bf16 -> f32/);
  for (const exp of ["whole", "one"])
    for (const precision of ["f32", "bf16"])
      t.regex(
        shell.done("evaluate", "--data", "data", "--resume", `${exp}/${last}`, "--precision", precision),
        /of 32 images/,
      );
});

test.serial("labels are cleaned, a classifier trained on them, images predicted, the network exported", (t) => {
  const from = ["--data", "data", ...half, "-b", "16", "--quiet"];
  shell.done("clean", ...from, "--resume", `one/${last}`, "--annotation", "clean.json");
  t.is(Object.keys(JSON.parse(shell.text("clean.json")) as object).length > 0, true);
  const again = ["--annotation", "clean.json", "--epochs", "2", "--exp-dir", "again"];
  shell.done("retrain", ...from, "--resume", `one/${last}`, ...again);
  t.regex(shell.done("predict", "--resume", `one/${last}`, ...half, "data/val_images_256"), /%|,/);
  t.regex(shell.done("export", "--resume", `one/${last}`, "-o", "one.onnx", "--verify"), /one.onnx/);
});

test.serial("a network from an ONNX file, with convolutions by channel, trains in bf16 as in f32", (t) => {
  writeFileSync(shell.at("mobile.onnx"), encodeModel(networks.mobile()));
  const flags = "--task classifier --data data -b 16 --epochs 2 --lr 0.02 --quiet".split(" ");
  const [whole, short] = ["f32", "bf16"].map((precision) => {
    shell.done("train", "mobile.onnx", ...flags, "--exp-dir", `mobile_${precision}`, "--precision", precision);
    return Number(shell.metrics(`mobile_${precision}`).findLast((m) => m.event === "epoch")?.loss);
  }) as [number, number];
  t.true(whole > 0 && whole !== short && Math.abs(short / whole - 1) < 0.03, `${short} and ${whole}`);
});

test("a CPU that is faster in bf16 is said once, and auto takes it", (t) => {
  const rates = { f32: 118, bf16: 236 };
  const none = new Set<string>();
  const has = new Set(["avx512_bf16"]);
  const never = (): never => t.fail("measured without need") as never;
  t.is(faster(rates), "bf16");
  t.is(faster({ f32: 179, bf16: 89 }), "f32");
  t.is(faster({ f32: 100, bf16: 110 }), "f32");
  t.regex(precisionNote(undefined, has, () => rates) ?? "", /236 GFLOP\/s in bf16, 118 in f32: --precision bf16/);
  t.is(
    precisionNote(undefined, has, () => ({ f32: 179, bf16: 89 })),
    undefined,
  );
  t.is(precisionNote(undefined, none, never), undefined);
  t.is(precisionNote("f32", has, never), undefined);
  const fails = (): never => {
    throw new Error("cannot be measured");
  };
  t.is(precisionNote(undefined, has, fails), undefined);
  t.throws(() => precisionNote("auto", has, fails), { message: "cannot be measured" });
  t.regex(precisionNote("bf16", none, () => ({ f32: 100, bf16: 40 })) ?? "", /about 2.5 times slower/);
  t.is(
    precisionNote("bf16", has, () => rates),
    undefined,
  );
  t.regex(precisionNote("auto", has, () => rates) ?? "", /^--precision auto: bf16; /);
  t.regex(precisionNote("auto", none, () => ({ f32: 100, bf16: 40 })) ?? "", /^--precision auto: f32; /);
});

test("this CPU is measured; compile says what auto chose; tf32 is refused with the reason", (t) => {
  const rates = cpuRates();
  t.true(rates.f32 > 1 && rates.bf16 > 0.2 && rates.bf16 < 40 * rates.f32, JSON.stringify(rates));
  const r = shell.moproc("compile", ...network, "--num-class", "4", "--precision", "auto", "-o", "auto");
  t.is(r.status, 0, r.err);
  t.regex(r.err, /note: --precision auto: (bf16|f32); a core of this CPU computes \d+ GFLOP\/s in bf16, \d+ in f32/);
  const { target } = JSON.parse(shell.text("auto", "plan.json")) as { target: { precision?: string; arch: string } };
  const said = /--precision auto: (\w+)/.exec(r.err)?.[1];
  t.is(said, target.precision ?? "f32", "the artefact has what was said");
  t.is(target.arch, cpuArch("native", said as "f32" | "bf16"));
  const doctor = shell.moproc("doctor");
  t.regex(doctor.out, /CPU .*kernels for x86-64-v\S+; a core computes \d+ GFLOP\/s in f32, \d+ in bf16/);
  const tf32 = shell.moproc("compile", ...network, "--precision", "tf32", "-o", "tf32");
  t.is(tf32.status, 2);
  t.regex(tf32.err, /--precision tf32: a format of the tensor cores of GPUs; a CPU computes in f32 or bf16/);
});

test("native names the instructions for bf16 only if bf16 uses them", (t) => {
  const has = new Set(v4);
  t.is(cpuArch("native", "bf16", has), "x86-64-v4");
  t.is(cpuArch("native", "bf16", new Set([...v4, "avx512_bf16"])), "x86-64-v4+bf16");
  const amx = new Set([...v4, "avx512_bf16", "amx_tile", "amx_bf16"]);
  t.is(
    cpuArch("native", "bf16", amx, () => true),
    "x86-64-v4+amx",
  );
  t.is(
    cpuArch("native", "bf16", amx, () => false),
    "x86-64-v4+bf16",
    "not allowed by Linux",
  );
  t.is(cpuArch("native", "f32", amx), "x86-64-v4");
  t.is(cpuArch("native", "bf16", new Set([...v4, "avx512_bf16", "amx_tile", "amx_int8"])), "x86-64-v4+bf16");
});
