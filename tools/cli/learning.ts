// The flags that decide how parameters are updated and are compiled in. The optimizers' numbers are flags of the
// binary.

import { isVit, vits } from "../../models/archs.js";
import { decayOf, decays, type LearningConfig, optimizers } from "../../models/learning_config.js";
import type { ModelFlags } from "./flags.js";
import { below, oneOf } from "./kinds.js";
import { type Flag, type Given, sections } from "./record.js";

const compiled = { section: sections.compiled } as const;

/** The flags for these members of ModelFlags, for verbs that train. */
export const learningFlags: readonly Flag[] = [
  {
    names: ["--optimizer"],
    unit: "NAME",
    kind: oneOf(optimizers),
    shown: "sgd, or that of the run that goes on",
    help: "sgd, with momentum; adamw or lars, for CPUs. With adamw, the defaults are --lr 0.001 and --wd 0.01.",
    ...compiled,
    passedOn: true,
  },
  {
    names: ["--decay-params"],
    unit: "NAME",
    kind: oneOf(decays),
    shown: "all with sgd, otherwise matrices",
    help:
      "Parameters that --wd applies to: all; or matrices, the weights of convolutions and linear layers, without " +
      "biases, normalisations, class token and positions. With lars, the others have the plain --lr.",
    ...compiled,
  },
  {
    names: ["--dropout"],
    unit: "SHARE",
    kind: below(1),
    shown: "0",
    help:
      `Share of the elements that ${vits.join(" and ")} drop in training, behind positions, attention and ` +
      "perceptron; or the Dropout nodes of a network from an ONNX file. On CPUs.",
    ...compiled,
  },
];

const trains: ReadonlySet<string> = new Set(["mopro", "classifier", "retrain"]);

/** What the flags change of the usual step. Throws if the network or the device does not have it. */
export function learningOf(task: string, f: ModelFlags): LearningConfig & { readonly dropout?: number } {
  const { optimizer = "sgd", decayParams = decayOf(optimizer), dropout = 0 } = f;
  if (!trains.has(task)) {
    const said = [f.optimizer && "--optimizer", f.decayParams && "--decay-params", f.dropout && "--dropout"];
    const wrong = said.find((flag) => flag !== undefined && flag !== 0);
    if (wrong) throw new Error(`${wrong}: --task ${task} trains nothing`);
    return {};
  }
  const drops = f.foreign ? f.foreign.dropouts > 0 : isVit(f.network);
  if (dropout > 0 && !drops)
    throw new Error(
      `--dropout ${dropout}: ${f.foreign?.settings.name ?? f.network} has no dropout; ${vits.join(" and ")} have it, ` +
        "and networks from ONNX files with Dropout nodes",
    );
  const onlyCpu = optimizer !== "sgd" ? `--optimizer ${optimizer}` : dropout > 0 ? `--dropout ${dropout}` : undefined;
  if (f.target === "cuda" && onlyCpu) throw new Error(`${onlyCpu}: exists for CPUs; leave it out, or use --target cpu`);
  return {
    ...(optimizer !== "sgd" && { optimizer }),
    ...(decayParams !== decayOf(optimizer) && { decay_params: decayParams }),
    ...(dropout > 0 && { dropout }),
  };
}

/** The settings of the run that goes on, for flags that are not given. */
export function continued(metadata: ReadonlyMap<string, string>, given: Given): Partial<ModelFlags> {
  const said = (option: string, key: string): string | undefined =>
    given.said(option) ? undefined : metadata.get(key);
  const optimizer = optimizers.find((name) => name === said("optimizer", "optimizer"));
  const decayParams = decays.find((name) => name === said("decayParams", "decay_params"));
  const dropout = said("dropout", "dropout");
  return {
    ...(optimizer && { optimizer }),
    ...(decayParams && { decayParams }),
    ...(dropout !== undefined && { dropout: Number(dropout) }),
  };
}

/** What the binary has to be told of the optimizer, which it takes to be SGD. */
export const optimizerArgs = ({ optimizer }: ModelFlags, given: Given): readonly string[] =>
  optimizer !== undefined && optimizer !== "sgd" && !given.said("optimizer") ? ["--optimizer", optimizer] : [];
