// Commands that each verb's help prints. Together they are one walk through everything, on data that the first of them
// draw; a test runs them as they are printed, in this order.

const model = "-a resnet10 --width 0.125 --image-size 32 --num-class 10 --moco_queue 512 -b 64";
const trained = "run/checkpoint_0013.safetensors";

/** By verb; a line a command. Those of the verbs `data` and `convert` are in their native tools. */
export const examples = {
  doctor: ["moproc doctor"],
  train: [
    `moproc train --data sample --exp-dir run ${model} --epochs 14 --start_clean_epoch 7 --cos --lr 0.06 --crop-min 0.5 --moco_m 0.99 --proto_m 0.95 --pseudo_th 0.5`,
  ],
  report: ["moproc report run"],
  clean: [`moproc clean --data sample --resume ${trained} --pseudo_th 0.5 -b 64`],
  retrain: [
    `moproc retrain --data sample --annotation pseudo_label.json --resume ${trained} --exp-dir retrained -b 64 --epochs 5`,
  ],
  finetune: [
    `moproc finetune --data imagenet --model-path ${trained} --low-resource 0.1 --exp-dir tuned -b 16 --epochs 3`,
  ],
  lowshot: [
    `moproc lowshot --model-path ${trained} --dataset voc --voc-path voc -b 64`,
    `moproc lowshot --model-path ${trained} --dataset places --places-path places --shots 1 2 --output places.json -b 64`,
  ],
  export: ["moproc export --resume retrained/checkpoint_0004.safetensors -o model.onnx --input uint8"],
  compile: [`moproc compile ${model} -o built`],
  inspect: ["moproc inspect built"],
  weights: ["moproc weights fetch v1"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** The end of a verb's help. */
export function exampleText(verb: string): string {
  const lines = (examples as Readonly<Record<string, readonly string[]>>)[verb] ?? [];
  return lines.length === 0 ? "" : `\nExample${lines.length > 1 ? "s" : ""}:\n${lines.map((l) => `  ${l}\n`).join("")}`;
}
