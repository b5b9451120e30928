// Malicious foreign models: each is refused quickly, with a message that names the fault and where it is.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { readModel } from "../../compiler/onnx/files.js";
import { importForeign } from "../../compiler/onnx/foreign.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { f32, i64, node } from "../support/foreign.js";
import { hostile } from "../support/hostile_models.js";
import { model, right } from "../support/hostile_parts.js";

const SLOWEST = 4000; // ms of a processor: twice what the slowest takes on a machine that is busy

mkdirSync(join(root, "build", "test"), { recursive: true });
const scratch = mkdtempSync(join(root, "build", "test", "hostile-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));
writeFileSync(join(scratch, "beside.data"), Buffer.alloc(16));
symlinkSync("beside.data", join(scratch, "link.data"));
execFileSync("mkfifo", [join(scratch, "pipe.data")]);
const file = join(scratch, "bad.onnx");

/** What a model is refused with. */
function refusal(bytes: Uint8Array): { readonly error: unknown; readonly ms: number } {
  writeFileSync(file, bytes);
  const start = process.cpuUsage();
  const ms = (): number => {
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  };
  try {
    importForeign(readModel(file), new Map(), { constantBytes: 2 ** 28 }); // the same limit, reached sooner
    return { error: undefined, ms: ms() };
  } catch (error) {
    return { error, ms: ms() };
  }
}

const controls = /\p{Cc}/u;

for (const [what, { bytes, message }] of Object.entries(hostile))
  test.serial(`refused: ${what}`, (t) => {
    const { error, ms } = refusal(bytes());
    if (!(error instanceof Error)) return t.fail(error === undefined ? "it is accepted" : `thrown: ${error}`);
    t.false(error instanceof TypeError || error instanceof RangeError || /^internal/.test(error.message), error.stack);
    t.regex(error.message, message);
    t.false(controls.test(error.message), "its message has control characters");
    t.true(error.message.length < 10_000, `its message has ${error.message.length} characters`);
    t.true(ms < SLOWEST, `it took ${ms} ms`);
  });

test.serial("parts of 2^40 rows without elements take no time", (t) => {
  const constants = { k: f32([2 ** 40, 0, 8], []), a: i64([0]), b: i64([4]), c: i64([2]), r: i64([1, 1, 3]) };
  const nodes = [
    node("Slice", ["k", "a", "b", "c"], ["s"]),
    node("Tile", ["k", "r"], ["u"]),
    node("Concat", ["s", "u"], ["v"], { axis: 2 }),
    node("Transpose", ["v"], ["w"], { perm: [2, 0, 1] }),
    node("Shape", ["w"], ["n"]),
    node("Cast", ["n"], ["y"], { to: 1 }),
  ];
  const { error, ms } = refusal(encodeModel(model(nodes, constants)));
  t.is(error, undefined);
  t.true(ms < SLOWEST, `it took ${ms} ms`);
});

test.serial("a right model is accepted, and refused if it is cut off at any byte", (t) => {
  const whole = encodeModel(right);
  t.is(refusal(whole).error, undefined);
  for (let n = 0; n < whole.length; n++) {
    const { error, ms } = refusal(whole.subarray(0, n));
    if (!(error instanceof Error)) t.fail(`${n} bytes are accepted`);
    else
      t.false(error instanceof TypeError || error instanceof RangeError || /internal/.test(error.message), error.stack);
    t.true(ms < SLOWEST, `${n} bytes took ${ms} ms`);
  }
});
