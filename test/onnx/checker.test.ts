// The ONNX project's own checker, if Python has it, accepts our models: structure, types and shapes of every node.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { exportGraph } from "../../compiler/onnx/export.js";
import { encodeModel, type Model } from "../../compiler/onnx/proto.js";
import { root } from "../../compiler/util/root.js";
import { phases } from "../../models/mopro.js";
import { stepModel, valuesOf } from "../support/ort_step.js";
import { noPythonWith, pythonWith } from "../support/python.js";
import { program } from "../support/tiny_mopro.js";
import { initialStates } from "../support/training.js";

const version = "import onnx; print(onnx.defs.onnx_opset_version())";
const python = pythonWith("onnx");

const check = `
import sys, onnx
model = onnx.load(sys.argv[1])
onnx.checker.check_model(model, full_check=True)
found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
print(len(found.graph.value_info))
`;

if (python === undefined) test.skip(`the ONNX checker: ${noPythonWith("onnx")}`, () => {});
else {
  const known = Number(spawnSync(python, ["-c", version], { encoding: "utf8" }).stdout);
  mkdirSync(join(root, "build", "test"), { recursive: true });
  const scratch = mkdtempSync(join(root, "build", "test", "checker-"));
  test.after.always(() => rmSync(scratch, { recursive: true, force: true }));
  const embed = program("embed");
  const opsets = [13, 17, 18, 21].filter((o) => o <= known);
  const models: readonly (readonly [string, () => Model])[] = [
    ...opsets.map(
      (opset) =>
        [
          `embed, operator set ${opset}`,
          () =>
            exportGraph(embed, {
              opset,
              initializers: valuesOf(embed, initialStates(embed, 1)),
              dynamicBatch: "N",
            }),
        ] as const,
    ),
    ...phases.flatMap((p) =>
      opsets
        .filter((o) => o >= 16)
        .map((o) => [`${p}, operator set ${o}`, () => stepModel(program(p), initialStates(program(p), 1), o)] as const),
    ),
  ];
  for (const [what, model] of models)
    test(`the ONNX checker accepts ${what}`, (t) => {
      const file = join(scratch, `${what}.onnx`);
      writeFileSync(file, encodeModel(model()));
      const r = spawnSync(python, ["-c", check, file], { encoding: "utf8" });
      t.is(r.status, 0, r.stderr);
      t.true(Number(r.stdout) > 30);
    });
}
