// Random changes of ONNX files: of single bytes, and of fields, whose messages stay readable. A change is a function of
// the seed alone.

import { bytesOf, type Field, fieldsOf, type Place, placesIn } from "./protobuf_tree.js";
import { uniform } from "./random.js";

/** A number below n. */
type Pick = (n: number) => number;

const numbers: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 7n, 8n, 16n, 17n, 64n, 255n, 256n, 1000n, 65536n],
  ...[2n ** 20n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n],
  ...[-1n, -2n, -3n, -128n],
];
const texts: readonly string[] = [
  ...["", "x", "y", "__proto__", "constructor", "toString", "ai.onnx", "com.example", "\0", "\u202e", "a/b", "../x"],
  ...["Relu", "Add", "If", "Loop", "Scan", "Conv", "Reshape", "Gather", "Constant", "Identity", "Expand", "Tile"],
  ...["Resize", "Pad", "Slice", "Split", "Cast", "Concat", "TopK", "Einsum", "LSTM", "Attention", "Gradient"],
];

const copy = (f: Field): Field => ({
  ...f,
  value: Array.isArray(f.value) ? f.value.map(copy) : typeof f.value === "bigint" ? f.value : Buffer.from(f.value),
});

const oneOf = <T>(list: readonly T[], pick: Pick): T => list[pick(list.length)] as T;

/** Flips, sets, inserts or removes bytes. */
function changedBytes(bytes: Buffer, pick: Pick): Buffer {
  const at = pick(bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (pick(5)) {
    case 0:
      return Buffer.concat([before, Buffer.from([pick(256)]), after]);
    case 1:
      return Buffer.concat([before, after.subarray(1 + pick(8))]);
    case 2:
      return Buffer.from(before);
    case 3:
      return Buffer.concat([before, Buffer.from([pick(256)]), after.subarray(1)]);
    default:
      return Buffer.from(bytes.map((b, i) => (i === at ? b ^ (1 << pick(8)) : b)));
  }
}

type Change = (p: Place, all: readonly Place[], pick: Pick, donor: readonly Place[]) => void;

/** Another field of the same number in a message of the same kind; itself if there is none. */
const alike = ({ kind, field }: Place, among: readonly Place[], pick: Pick): Field => {
  const found = among.filter((q) => q.kind === kind && q.field.number === field.number);
  return found.length === 0 ? field : oneOf(found, pick).field;
};

function newNumber({ field }: Place, _: readonly Place[], pick: Pick): void {
  if (typeof field.value === "bigint") field.value = pick(4) === 0 ? field.value + 1n : oneOf(numbers, pick);
  else if (!Array.isArray(field.value)) field.value = changedContent(field, pick);
}

/** Whether a field is an extent, or an integer of an attribute. */
const isSize = ({ kind, field: { number } }: Place): boolean =>
  (kind === "dimension" && number === 1) ||
  (kind === "tensor" && [1, 7, 9].includes(number)) ||
  (kind === "attribute" && [3, 8].includes(number));

const changes: readonly Change[] = [
  ({ list, index }) => list.splice(index, 1), // removed
  ({ list, index, field }) => list.splice(index, 0, copy(field)), // twice
  ({ list, index }, _, pick) => {
    const other = pick(list.length); // another order
    [list[index], list[other]] = [list[other] as Field, list[index] as Field];
  },
  (p, all, pick) => {
    p.list[p.index] = copy(alike(p, all, pick)); // another name, shape, type or node of the same model
  },
  (p, all, pick) => {
    p.list[p.index] = copy(alike(p, all, pick));
  },
  (p, _, pick, donor) => {
    p.list[p.index] = copy(alike(p, donor, pick)); // of another model
  },
  ({ list }, _, pick, donor) => list.splice(pick(list.length + 1), 0, copy(oneOf(donor, pick).field)),
  newNumber,
  newNumber,
  ({ field }, _, pick) => {
    field.number = 1 + pick(26);
  },
];

function changedContent({ value, wire }: Field, pick: Pick): Buffer {
  const bytes = value as Buffer;
  if (wire !== 2) return Buffer.from(bytes.map(() => pick(256)));
  switch (pick(4)) {
    case 0:
      return Buffer.from(oneOf(texts, pick));
    case 1: {
      const words = Buffer.alloc(Math.ceil(bytes.length / 8) * 8); // as integers of 64 bits
      for (let i = 0; i < words.length; i += 8) words.writeBigUInt64LE(BigInt.asUintN(64, oneOf(numbers, pick)), i);
      return words.subarray(0, bytes.length);
    }
    default:
      return changedBytes(bytes, pick);
  }
}

/** A file that has been changed, and the numbers of the models that it was made of. */
export interface Mutant {
  readonly bytes: Uint8Array;
  readonly of: number;
}

/** Mutant number `seed` of these files, which are valid. */
export function mutant(files: readonly Uint8Array[], seed: number): Mutant {
  const next = uniform(seed);
  for (let i = 0; i < 4; i++) next(); // neighbouring seeds begin alike
  const pick: Pick = (n) => Math.min(Math.floor(next() * n), n - 1);
  const of = pick(files.length);
  const bytes = Buffer.from(files[of] as Uint8Array);
  if (pick(10) === 0) {
    let raw: Buffer = bytes;
    for (let i = 0; i <= pick(4); i++) raw = changedBytes(raw, pick);
    return { bytes: raw, of };
  }
  const tree = fieldsOf(bytes, "model");
  const donor = placesIn(fieldsOf(Buffer.from(oneOf(files, pick)), "model"), "model");
  for (let i = 0; i <= pick(4); i++) {
    const all = placesIn(tree, "model");
    const sizes = pick(3) === 0 ? all.filter(isSize) : [];
    if (sizes.length > 0) newNumber(oneOf(sizes, pick), all, pick);
    else if (all.length > 0) oneOf(changes, pick)(oneOf(all, pick), all, pick, donor);
  }
  return { bytes: bytesOf(tree), of };
}
