// Bad input that moproc export must refuse: flags, and changed copies of a good checkpoint (resnet10 of width 1/8, 4
// classes, an embedding of 8, 32 pixels), each with the expected message.

type Header = Record<string, Record<string, unknown>>;
/** Changes a safetensors header, or the data after it, in place. */
export type Edit = (header: Header, data: Buffer) => void;

/** The bytes of a safetensors file after an edit. */
export function edited(file: Buffer, edit: Edit): Buffer {
  const length = Number(file.readBigUInt64LE());
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Header;
  const data = Buffer.from(file.subarray(8 + length));
  edit(header, data);
  const text = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, data]);
}

/** Changes metadata; a key without a value is removed. */
export const metadata =
  (changes: Readonly<Record<string, string | undefined>>): Edit =>
  (header) => {
    const all = Object.entries({ ...header.__metadata__, ...changes });
    header.__metadata__ = Object.fromEntries(all.filter(([, v]) => v !== undefined));
  };

const entry =
  (name: string, change: Readonly<Record<string, unknown>>): Edit =>
  (header) => {
    header[name] = { ...header[name], ...change };
  };

/** Removes a tensor by renaming it, so that the file has no gap. */
const without =
  (name: string): Edit =>
  (header) => {
    header[`${name}x`] = header[name] as Record<string, unknown>;
    delete header[name];
  };

/** Changes the first elements of tensors and removes the digest, which would reveal that. */
const values =
  (changes: Readonly<Record<string, number>>): Edit =>
  (header, data) => {
    metadata({ sha256: undefined })(header, data);
    for (const [name, x] of Object.entries(changes)) {
      const [begin] = (header[name] as { data_offsets: readonly [number, number] }).data_offsets;
      data.writeFloatLE(x, begin);
    }
  };

const q = (name: string): string => `encoder_q.${name}`;

/** [description, further arguments, expected message] */
export const refusedFlags: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["an unknown head", ["--head", "tail"], /--head.*'tail' is invalid.*classifier/],
  ["an unknown input", ["--input", "bgr"], /--input.*'bgr' is invalid/],
  ["an old operator set", ["--opset", "12"], /--opset.*13 to 21/],
  ["a future operator set", ["--opset", "22"], /--opset.*13 to 21/],
  ["half an operator set", ["--opset", "17.5"], /--opset/],
  ["--verify without a check", ["--verify", "--no-check"], /--verify and --no-check/],
  ["another network", ["-a", "resnet50"], /-a resnet50: .*says resnet10/],
  ["another number of classes", ["--num-class", "5"], /--num-class 5: .*says 4/],
  ["another embedding", ["--low-dim", "16"], /--low-dim 16: .*says 8/],
  ["another width", ["--width", "1"], /--width 1: .*says 0\.125/],
  ["another image size", ["--image-size", "64"], /--image-size 64: .*says 32/],
  ["-a and --arch", ["-a", "resnet10", "--arch", "resnet18"], /-a resnet10 and --arch resnet18 contradict/],
  ["a names file that is not there", ["--classes", "none.txt"], /--classes none\.txt: ENOENT/],
  ["too few names", ["--classes", "three.txt"], /--classes three\.txt: 3 names, the network has 4 classes/],
  ["an empty name", ["--classes", "hole.txt"], /--classes hole\.txt: line 2 is empty/],
  ["a directory as output", ["-o", "."], /\.: is a folder, and moproc needs a file there; choose another path/],
  ["an output in no folder", ["-o", "nowhere/m.onnx"], /cannot write nowhere\/m\.onnx: ENOENT/],
];

/** [description, change of the checkpoint, expected message] */
export const refusedCheckpoints: readonly (readonly [string, Edit, RegExp])[] = [
  ["metadata that the tensors contradict", metadata({ num_class: "7" }), /num_class 7: the tensors of .*have 4/],
  ["metadata that is no number", metadata({ width: "wide" }), /__metadata__\.width is 'wide'/],
  ["an unknown network", metadata({ arch: "vgg16" }), /unknown architecture vgg16/],
  ["an unknown task", metadata({ task: "finetune" }), /task finetune: the tensors of .*have mopro/],
  ["the wrong network", metadata({ arch: "resnet18" }), /tensor encoder_q\.layer1\.1\.conv1\.weight is missing/],
  ["a missing statistic", without(q("layer2.0.bn1.running_var")), /encoder_q\.layer2\.0\.bn1\.running_var is missing/],
  ["a missing classifier", without(q("classifier.weight")), /tensor encoder_q\.classifier\.weight is missing/],
  [
    "no network",
    without(q("layer1.0.conv1.weight")),
    /neither a ResNet nor a .*: tensors encoder_q\.layer1\.0\.conv1\.weight and/,
  ],
  [
    "a tensor of another shape",
    entry(q("layer2.0.conv1.weight"), { shape: [8, 16, 3, 3] }),
    /tensor encoder_q\.layer2\.0\.conv1\.weight is F32\[8,16,3,3\], but the network needs f32\[16,8,3,3\]/,
  ],
  ["integers as weights", entry(q("bn1.weight"), { dtype: "I32" }), /tensor encoder_q\.bn1\.weight is I32/],
  ["damaged data", (_, data) => void data.writeUInt8(data.readUInt8(0) ^ 1, 0), /the file is damaged/],
  ["a NaN", values({ [q("conv1.weight")]: Number.NaN }), /conv1\.weight: element 0 is NaN/],
  ["a negative variance", values({ [q("bn1.running_var")]: -1 }), /encoder_q\.bn1\.running_var: element 0 is -1/],
  [
    "a folded weight beyond f32",
    values({ [q("bn1.weight")]: 3e38, [q("bn1.running_var")]: 0 }),
    /fold_batch_norm: element 0 of conv1\.(weight|bias) would be/,
  ],
];
