// moproc export: makes the ONNX model for deployment from a checkpoint. If ONNX Runtime is installed, it runs the model
// before the file gets its name.

import { rmSync, writeFileSync } from "node:fs";
import { deployModel, neededPart } from "../../compiler/onnx/deploy.js";
import { halved } from "../../compiler/onnx/half.js";
import type { Model } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { marks, requireFile, temporary } from "../../compiler/util/own.js";
import { Stopped, ToolFailure } from "../../compiler/util/run.js";
import { version } from "../../compiler/util/version.js";
import { putInPlace } from "../../compiler/util/whole_file.js";
import { deployed } from "../../models/deploy.js";
import { openCheckpoint, readStates } from "./checkpoint.js";
import { compareOnImages } from "./export_agreement.js";
import { calibrated } from "./export_calibrate.js";
import { checkModel, type Difference, type Subject } from "./export_check.js";
import { type ExportFlags, exportFlags, flagsOf } from "./export_flags.js";
import { foreignModel } from "./export_foreign.js";
import { type Drawn, drawImages } from "./export_images.js";
import { asJson, asText, describe, recordedNames, type Written } from "./export_report.js";
import { CannotCheck, type Fed, onnxRuntime } from "./export_runtime.js";
import { exportTrainingVerb } from "./export_training.js";
import type { Verb } from "./record.js";

export const exportVerb: Verb = {
  name: "export",
  usage: "--resume FILE -o FILE [flags]",
  purpose: "Writes a checkpoint's network as an ONNX model of standard operators.",
  more:
    "The model has the input `image` and the outputs `logits`, `embedding` and `features`, for any batch size. ONNX " +
    "Runtime, if it is installed, runs it beside the compiled network. `moproc export --training --help` is " +
    "about the " +
    "training step itself.",
  flags: exportFlags,
  examples: ["moproc export --resume retrained/checkpoint_0004.safetensors -o model.onnx --input uint8"],
  instead: { flag: "--training", verb: exportTrainingVerb },
  run: (given) => exportModel(flagsOf(given)),
};

/** A model, and what it was made of. */
interface Deployed extends Pick<Subject, "network" | "values" | "constants"> {
  readonly model: Model;
  readonly notes: readonly string[];
  readonly names: readonly string[]; // of the classes, as folders of images have them; none if they are not known
}

async function exportModel(f: ExportFlags): Promise<void> {
  requireFile(f.out, marks.onnx);
  const { network, notes, model: full, names, ...weights } = await readNetwork(f);
  const { images } = f;
  const counts = { calibration: f.quantize ? f.calibrationImages : 0, check: f.checkImages };
  const drawn = images === undefined ? undefined : drawImages(images, network.image_size, counts, names);
  const { model, ...made } = await inPrecision(f, full, { network, input: f.input }, drawn);
  const bytes = encodeModel(model);
  const partial = temporary(f.out);
  try {
    writing(f.out, () => writeFileSync(partial, bytes, { flag: "wx" }));
    const subject = { file: partial, network, head: f.head, input: f.input, ...weights, pictures: drawn?.check };
    const checked = await check(f, () => checkModel(subject));
    const agreement = drawn && (await check(f, () => compareOnImages(subject, encodeModel(full), bytes, drawn.check)));
    writing(f.out, () => putInPlace(partial, f.out, marks.onnx));
    const written = { model, bytes: bytes.length, ...made, drawn, checked, agreement, notes };
    process.stdout.write((f.json ? asJson : asText)(f, written));
  } finally {
    rmSync(partial, { force: true });
  }
}

/** The model in the precision of the flags. Rejects, with the reason, if it cannot have it. */
async function inPrecision(
  f: ExportFlags,
  full: Model,
  s: Fed,
  drawn: Drawn | undefined,
): Promise<Pick<Written, "model" | "half" | "whole">> {
  if (f.quantize && drawn) {
    try {
      const made = await calibrated(await onnxRuntime(), full, s, drawn.calibration, f.ranges);
      const metadata = new Map(made.model.metadata);
      metadata.set("calibration", `${f.ranges}, ${drawn.calibration.count} images`);
      if (made.parts.folded > 0) metadata.set("batch_norm", "folded");
      const model = { ...made.model, metadata };
      return { model, half: undefined, whole: { ...made.parts, bytesF32: encodeModel(full).length } };
    } catch (e) {
      const message = `--quantize ${f.quantize}: ${(e as Error).message}`;
      throw e instanceof CannotCheck ? new ToolFailure(message) : new Error(message);
    }
  }
  if (f.precision === "f32") return { model: full, half: undefined, whole: undefined };
  try {
    const { model, changed } = halved(full);
    return { model, half: { ...changed, bytesF32: encodeModel(full).length }, whole: undefined };
  } catch (e) {
    throw new Error(`--precision f16: ${(e as Error).message}`);
  }
}

function writing(file: string, f: () => void): void {
  try {
    f();
  } catch (e) {
    throw new Error(`cannot write ${file}: ${(e as Error).message}`);
  }
}

/** The network of the checkpoint, its model, and the weights of the states that the model is made of. */
async function readNetwork(f: ExportFlags): Promise<Deployed> {
  const checkpoint = await openCheckpoint(f.resume, f, f.which);
  const { file, network, converted } = checkpoint;
  const notes = [...converted, ...checkpoint.notes];
  const names = recordedNames(file.metadata, network.num_class);
  const metadata = describe(f, network, { epoch: file.metadata.get("epoch"), names });
  const known = names ?? (JSON.parse(metadata.class_names ?? "[]") as readonly string[]);
  try {
    const { onnx } = network;
    if (onnx) {
      for (const [given, flag] of [
        [f.input !== "float", "--input uint8"],
        [f.keepBn, "--keep-bn"],
        [f.saidOpset, `--opset ${f.opset}`],
      ] as const)
        if (given) throw new Error(`${flag}: the network is another program's, whose graph is written as it was`);
      const made = foreignModel(checkpoint, onnx, f.head, metadata);
      const opset = made.model.opsets.get("");
      return {
        network,
        notes: [...notes, `the graph is that of ${onnx.settings.name}.onnx, opset ${opset}`],
        names: known,
        ...made,
      };
    }
    const graph = neededPart(deployed(network, f.head, f.input));
    const values = readStates(checkpoint, graph.state);
    const options = { opset: f.opset, keepBatchNorm: f.keepBn ?? false, metadata, producerVersion: version() };
    return { network, notes, names: known, values, model: deployModel({ graph, values }, options) };
  } finally {
    file.close();
  }
}

/**
 * The result of a comparison, or the reason why there is none. Rejects if the model does not run and, with --verify, if
 * the comparison is impossible or finds a difference above --tolerance.
 */
async function check<T extends { readonly with: string; readonly differences: readonly Difference[] }>(
  f: ExportFlags,
  run: () => Promise<T>,
): Promise<T | string> {
  if (!f.check) return "not checked: --no-check";
  let checked: T;
  try {
    checked = await run();
  } catch (e) {
    if (e instanceof Stopped) throw e;
    if (!(e instanceof CannotCheck))
      throw new Error(`${f.out}: ONNX Runtime does not run the model: ${(e as Error).message}`);
    if (f.verify) throw new ToolFailure(`--verify: ${e.message}`);
    return `not checked: ${e.message}`;
  }
  const wrong = checked.differences.filter((d) => !(d.relative <= f.tolerance));
  if (f.verify && wrong.length > 0) {
    const what = wrong
      .map((d) => `${d.output} by ${d.absolute.toExponential(1)} of ${d.largest.toPrecision(3)}`)
      .join(", ");
    const limit = `more than ${f.tolerance} relative (--tolerance)`;
    throw new Error(`--verify: ${f.out} differs from ${checked.with} in ${what}: ${limit}`);
  }
  return checked;
}
