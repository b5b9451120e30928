// Networks from ONNX files of other programs, for the verbs that train and use them: reading one as the flags describe
// it (foreign_flags.ts), its file beside the checkpoints of a run, and what an artefact that trains it begins with.

import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Plan } from "../../compiler/lower/plan.js";
import { readModel, writeModel } from "../../compiler/onnx/files.js";
import { findHead, type ImageInput, imageInput } from "../../compiler/onnx/find_head.js";
import { bindInputs } from "../../compiler/onnx/foreign_data.js";
import { liveNodes } from "../../compiler/onnx/foreign_graph.js";
import { isStep } from "../../compiler/onnx/import.js";
import { elementsOf, type Model, type Tensor } from "../../compiler/onnx/model.js";
import { encodeModel } from "../../compiler/onnx/proto.js";
import { cacheDir } from "../../compiler/util/cache.js";
import { digest } from "../../compiler/util/digest.js";
import { makeFolder } from "../../compiler/util/own.js";
import { ForeignNetwork } from "../../models/foreign.js";
import { type Foreign, type ForeignSettings, metaOf, NETWORK, normalizations } from "./foreign_flags.js";
import type { Given, Options } from "./record.js";
import { readTensor } from "./tensor_files.js";
import { INIT, writeState, writeTensors } from "./weights_file.js";

const DEFAULT_SIZE = 224;

/** The network in a file as the flags describe it. `size`: of its images, if the user has said it. */
export function foreignOfFlags(file: string, options: Options, size: number | undefined): Foreign {
  const text = (key: string): string | undefined => options[key] as string | undefined;
  const [input, feature] = [text("input"), text("feature")];
  const settings: ForeignSettings = {
    name: basename(file, ".onnx").replace(/[^\w.+-]/g, "_"),
    ...(input !== undefined && { input }),
    ...(feature !== undefined && { feature }),
    head: (options.head as "replace" | "keep" | undefined) ?? "replace",
    pixels: options.normalize as ForeignSettings["pixels"],
    freeze: (options.freeze as readonly string[] | undefined) ?? [],
    freezeBatchNorm: options.freezeBn === true,
  };
  const bind = (options.bind as (readonly [string, string])[] | undefined) ?? [];
  return located(file, () => {
    const constants = new Map(bind.map(([name, from]) => [name, readTensor(from, name)]));
    return foreign(bindInputs(readModel(file), constants), settings, size);
  });
}

/** The network beside a checkpoint, which says its settings. Throws if the file is missing or another model. */
export function foreignOfCheckpoint(checkpoint: string, metadata: ReadonlyMap<string, string>): Foreign {
  const file = join(dirname(checkpoint), NETWORK);
  if (!existsSync(file))
    throw new Error(
      `${checkpoint}: its network is an ONNX model, and ${file} is not there; copy ${NETWORK} from the run's folder, ` +
        "beside the checkpoint",
    );
  const f = located(file, () => {
    const settings = JSON.parse(metadata.get("onnx_settings") as string) as ForeignSettings;
    return foreign(readModel(file), settings, Number(metadata.get("image_size")));
  });
  if (f.sha256 !== metadata.get("onnx_sha256")) throw new Error(`${file}: is another model than that of ${checkpoint}`);
  return f;
}

function located<T>(file: string, f: () => T): T {
  try {
    return f();
  } catch (e) {
    const { message } = e as Error;
    throw new Error(message.startsWith(`${file}:`) ? message : `${file}: ${message}`);
  }
}

function foreign(given: Model, settings: ForeignSettings, said: number | undefined): Foreign {
  if (isStep(given)) throw new Error("is a training step that moproc exported; `moproc compile` builds it");
  const model = { ...given, producer: "moproc", producerVersion: "" }; // as in the file that a run keeps
  const input = imageInput(model, settings.input);
  const imageSize = said ?? input.size ?? DEFAULT_SIZE;
  const { feature } = settings;
  if (feature !== undefined && !model.graph.nodes.some((n) => n.outputs.includes(feature)))
    throw new Error(`--feature ${feature}: no node of the model makes a tensor of this name`);
  const patterns = settings.freeze.map((text) => ({ text, matches: pattern(text) }));
  const network = sized(input, imageSize, () => {
    const head = settings.feature === undefined || settings.head === "keep" ? findHead(model) : undefined;
    return new ForeignNetwork(
      model,
      {
        input,
        head: { feature: settings.feature ?? head?.feature ?? "", logits: head?.logits ?? "" },
        keep: settings.head === "keep",
        frozen: (name) => patterns.some((p) => p.matches(name)),
        freezeBatchNorm: settings.freezeBatchNorm,
        pixels: normalizations[settings.pixels],
      },
      imageSize,
    );
  });
  const { trained, frozen } = network.facts;
  const idle = patterns.find((p) => !frozen.some(p.matches));
  if (idle)
    throw new Error(`--freeze ${idle.text}: no tensor has such a name; they are ${listed([...trained, ...frozen])}`);
  const dropouts = dropoutsOf(network, model, settings);
  return { model, sha256: digest(encodeModel(model)), settings, imageSize, network, dropouts };
}

/** The number of Dropout nodes in what is trained of a network. */
function dropoutsOf(network: ForeignNetwork, model: Model, settings: ForeignSettings): number {
  const { feature, logits } = network.options.head;
  const needed = liveNodes(model.graph.nodes, settings.head === "keep" ? [feature, logits] : [feature]);
  return needed.filter((n) => n.op === "Dropout" && n.domain === "").length;
}

/** Calls f. If it throws although the model fits its own image size, the message says so. */
function sized<T>(input: ImageInput, size: number, f: () => T): T {
  try {
    return f();
  } catch (e) {
    if (input.size === undefined || input.size === size) throw e;
    throw new Error(`${(e as Error).message}; the model is made for images of ${input.size} pixels, not ${size}`);
  }
}

const SHOWN = 10;
const listed = (names: readonly string[]): string =>
  names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? ` and ${names.length - SHOWN} more` : "");

/** Whether a name fits a pattern in which * stands for any characters. */
function pattern(text: string): (name: string) => boolean {
  const escaped = text.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const r = new RegExp(`^${escaped.join(".*")}$`, "s");
  return (name) => r.test(name);
}

/** What the user should know about a network before it is trained, a line each. */
export function notesOf(f: Foreign, file: string): string[] {
  const { trained, frozen, numbers, normalizations: count, freed, featureSize, classes, values } = f.network.facts;
  const { head, freezeBatchNorm } = f.settings;
  const { dropouts } = f;
  const classifier =
    head === "keep" ? `its own classifier of ${classes} classes` : `a new classifier on its feature of ${featureSize}`;
  const some = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
  const equal = trained.filter((name) => isEqual(values.get(name)));
  return [
    `${file}: ${some(trained.length, "tensor")} and ${classifier} are trained, at ${f.imageSize} pixels` +
      (frozen.length > 0 ? `; frozen: ${some(frozen.length, "tensor")}` : "") +
      (numbers.length > 0 ? `; settings that stay: ${some(numbers.length, "single number")}` : ""),
    ...(count > 0
      ? [
          `${file}: ${some(count, "BatchNormalization layer")} ` +
            (freezeBatchNorm ? "stay as they are" : "use the statistics of each batch (--freeze-bn keeps theirs)"),
        ]
      : []),
    ...(freed.length > 0
      ? [`${file}: ${some(freed.length, "node")} made for one batch size now take any, such as ${freed[0]}`]
      : []),
    ...(dropouts > 0
      ? [`${file}: ${some(dropouts, "Dropout node")} without effect, unless --dropout says what they drop`]
      : []),
    ...(equal.length > 0
      ? [
          `${file}: ${some(equal.length, "weight")} of equal numbers, such as ${equal[0]}: their channels are equal ` +
            "and learn the same, so the network hardly learns; give a file whose weights were trained, or are random",
        ]
      : []),
  ];
}

/** Whether a weight of several channels has the same number everywhere, other than 0. */
function isEqual(t: Tensor | undefined): boolean {
  if (!t || t.dims.length < 2 || (t.dims[0] as number) < 2) return false;
  const all = elementsOf(t) as Float32Array;
  return all[0] !== 0 && all.every((x) => x === all[0]);
}

/**
 * A checkpoint with the weights of a model, and the model beside it, in the cache: for verbs that begin with a
 * checkpoint. Tells what is trained of it. Throws as foreignOfFlags().
 */
export function checkpointOfModel(file: string, given: Given): string {
  const size = given.said("imageSize") ? Number(given.options.imageSize) : undefined;
  const f = foreignOfFlags(file, given.options, size);
  const trains = given.flags.some(({ names }) => names.includes("--freeze")); // others only read its feature
  if (trains) for (const text of notesOf(f, file)) process.stderr.write(`note: ${text}\n`);
  const { classes, values } = f.network.facts;
  const metadata = {
    format: "moproc-checkpoint-1" as const,
    task: "classifier",
    arch: f.settings.name,
    width: "1",
    image_size: String(f.imageSize),
    ...(classes !== undefined && { num_class: String(classes) }),
    ...metaOf(f),
  };
  const key = digest(JSON.stringify(metadata)).slice(0, 16);
  const dir = join(cacheDir(), "networks", `${f.settings.name}-${key}`);
  const checkpoint = join(dir, INIT);
  if (!existsSync(checkpoint)) {
    makeFolder(dir);
    writeModel(join(dir, NETWORK), f.model);
    writeTensors(checkpoint, values, metadata);
  }
  return checkpoint;
}

/** Writes into an artefact's folder the model, and the values with which the plan's states begin. */
export function writeNetwork(dir: string, f: Foreign, plan: Plan): void {
  writeModel(join(dir, NETWORK), f.model);
  const prefix = plan.meta.task === "mopro" ? "encoder_q." : "";
  const values = [...f.network.facts.values].map(([name, t]): [string, Tensor] => [prefix + name, t]);
  writeState(dir, plan, new Map(values), {});
}
