// The reader of foreign models on mutants of valid ones. fuzz_foreign.long.test.ts reads more of them.

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { corpus, fuzz, outcome } from "../support/fuzz_onnx.js";
import { right } from "../support/hostile_parts.js";
import { mutant } from "../support/mutate_onnx.js";
import { bytesOf, fieldsOf } from "../support/protobuf_tree.js";

const MUTANTS = 600;

mkdirSync(join(root, "build", "test"), { recursive: true });
const scratch = mkdtempSync(join(root, "build", "test", "fuzz-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));
const file = join(scratch, "mutant.onnx");
const files = corpus();

test("a file that is taken apart and put together again is the same", (t) => {
  for (const f of files) t.deepEqual(bytesOf(fieldsOf(Buffer.from(f), "model")), Buffer.from(f));
});

test("a mutant is a function of its seed, and most differ from their model", (t) => {
  const made = Array.from({ length: 50 }, (_, seed) => mutant(files, seed));
  made.forEach((m, seed) => t.deepEqual(mutant(files, seed), m));
  const changed = made.filter((m) => !Buffer.from(m.bytes).equals(files[m.of] as Uint8Array));
  t.true(changed.length > 40, `${changed.length} of 50 differ`);
  t.true(new Set(made.map((m) => m.of)).size > 15);
});

test(`${MUTANTS} mutants are accepted, or refused with the place and the reason`, (t) => {
  const { mutants, accepted, faults } = fuzz(files, file, 1, MUTANTS);
  t.deepEqual(faults, []);
  t.is(mutants, MUTANTS);
  t.true(accepted > 0.05 * MUTANTS && accepted < 0.6 * MUTANTS, `${accepted} of ${MUTANTS} are accepted`);
});

test("valid models have no faults, and are accepted", (t) => {
  for (const f of files) t.is(outcome(f, file).fault, undefined);
  t.true(outcome(encodeModel(right), file).accepted);
});
