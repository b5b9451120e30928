// The bytes of a protobuf message, walked once before they are decoded: the decoder itself reads a field of any wire
// type as the one that it expects, lets a message end outside of the one around it, and takes groups. So what follows
// from the bytes would depend on the reader.

/** A field: of numbers, single or in a list that may be packed, of bytes, or a message. */
type Kind = "varint" | "varints" | "float" | "floats" | "doubles" | "bytes" | keyof typeof messages;
type Fields = Readonly<Record<number, string>>;

/** The fields of ONNX's messages that are read. */
export const messages = {
  model: {
    ...{ 1: "varint", 2: "bytes", 3: "bytes", 4: "bytes", 5: "varint", 6: "bytes", 7: "graph", 8: "opset" },
    ...{ 14: "entry", 20: "training", 25: "function" },
  },
  graph: {
    ...{ 1: "node", 2: "bytes", 5: "tensor", 10: "bytes", 11: "value", 12: "value", 13: "value" },
    ...{ 14: "annotation", 15: "sparseTensor" },
  },
  node: { 1: "bytes", 2: "bytes", 3: "bytes", 4: "bytes", 5: "attribute", 6: "bytes", 7: "bytes" },
  attribute: {
    ...{ 1: "bytes", 2: "float", 3: "varint", 4: "bytes", 5: "tensor", 6: "graph", 7: "floats", 8: "varints" },
    ...{ 9: "bytes", 10: "tensor", 11: "graph", 13: "bytes", 14: "type", 15: "type", 20: "varint", 21: "bytes" },
    ...{ 22: "sparseTensor", 23: "sparseTensor" },
  },
  tensor: {
    ...{ 1: "varints", 2: "varint", 3: "segment", 4: "floats", 5: "varints", 6: "bytes", 7: "varints", 8: "bytes" },
    ...{ 9: "bytes", 10: "doubles", 11: "varints", 12: "bytes", 13: "entry", 14: "varint" },
  },
  segment: { 1: "varint", 2: "varint" },
  sparseTensor: { 1: "tensor", 2: "tensor", 3: "varints" },
  value: { 1: "bytes", 2: "type", 3: "bytes" },
  type: { 1: "tensorType", 4: "elementType", 5: "mapType", 6: "bytes", 8: "tensorType", 9: "elementType" },
  tensorType: { 1: "varint", 2: "shape" },
  elementType: { 1: "type" },
  mapType: { 1: "varint", 2: "type" },
  shape: { 1: "dimension" },
  dimension: { 1: "varint", 2: "bytes", 3: "bytes" },
  opset: { 1: "bytes", 2: "varint" },
  entry: { 1: "bytes", 2: "bytes" },
  annotation: { 1: "bytes", 2: "entry" },
  training: { 1: "graph", 2: "graph", 3: "entry", 4: "entry" },
  function: {
    ...{ 1: "bytes", 4: "bytes", 5: "bytes", 6: "bytes", 7: "node", 8: "bytes", 9: "opset", 10: "bytes" },
    ...{ 11: "attribute" },
  },
} as const satisfies Readonly<Record<string, Fields>>;

/** The wire types that a field may have: 0 varint, 1 eight bytes, 2 a length and as many bytes, 5 four bytes. */
const wires: Readonly<Record<string, readonly number[]>> = {
  varint: [0],
  varints: [0, 2],
  float: [5],
  floats: [2, 5],
  doubles: [1, 2],
};
const LENGTH = [2];
const SKIPPED = [0, 1, 2, 5]; // of fields that are not known
const packed: Readonly<Record<string, number>> = { floats: 4, doubles: 8 }; // bytes of an item

/** Attributes of functions with the values that they have if a call does not set them: `attribute_proto`. */
export const DEFAULTS = 11;

const MAX_DEPTH = 64; // of messages in messages
const MAX_VARINT = 10; // bytes

/** What the decoder does not know: for each function of a model, in order, the bytes of its attributes with values. */
export type Unknown = readonly (readonly Uint8Array[])[];

/**
 * Throws, naming the byte, unless these bytes are a message of this kind: every field has a wire type that fits it and
 * ends inside of the message that it is in.
 */
export function checkWire(bytes: Uint8Array, kind: "model" | "tensor"): Unknown {
  const bad = `not an ONNX ${kind}`;
  const fail = (at: number, why: string): never => {
    throw new Error(`${bad}, or cut off: at byte ${at} ${why}`);
  };
  const short = (at: number, need: number, end: number): never => {
    const what = end === bytes.length ? "the file" : "the message that it is in";
    return fail(at, `a field needs ${need} more, but ${what} ends at ${end}`);
  };
  let pos = 0;
  const functions: Uint8Array[][] = [];
  const varint = (end: number): number => {
    const start = pos;
    let value = 0;
    for (let i = 0; ; i++) {
      if (pos >= end) short(pos, 1, end);
      const byte = bytes[pos] as number;
      if (i === MAX_VARINT || (i === MAX_VARINT - 1 && byte > 1))
        fail(start, `there is a number of more than ${MAX_VARINT} bytes, or of more than 64 bits`);
      pos++;
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) return value;
    }
  };
  const skip = (n: number, end: number): void => {
    if (n > end - pos) short(pos, n, end);
    pos += n;
  };
  const open: { readonly fields: Fields; readonly end: number; readonly name: string }[] = [
    { fields: messages[kind], end: bytes.length, name: kind },
  ];
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const { fields, end, name } = top;
    if (pos === end) {
      open.pop();
      continue;
    }
    const start = pos;
    const tag = varint(end);
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    if (field === 0 || tag >= 2 ** 32) fail(start, `there is field ${field}, which no message has`);
    const what = `field ${field} of a message ${name}`;
    if (wire === 3 || wire === 4) fail(start, `${what} is a group, which ONNX does not have`);
    const type = fields[field] as Kind | undefined;
    const fits = type ? (wires[type] ?? LENGTH) : SKIPPED;
    if (!fits.includes(wire)) fail(start, `${what} has wire type ${wire}, not ${fits.join(" or ")}`);
    if (wire === 0) varint(end);
    else if (wire === 1) skip(8, end);
    else if (wire === 5) skip(4, end);
    else {
      const length = varint(end);
      const from = pos;
      skip(length, end);
      if (type === "function") functions.push([]);
      if (name === "function" && field === DEFAULTS) functions.at(-1)?.push(bytes.subarray(from, pos));
      if (type && Object.hasOwn(messages, type)) {
        if (open.length === MAX_DEPTH) throw new Error(`${bad}: graphs are nested too deeply`);
        open.push({ fields: messages[type as keyof typeof messages], end: from + length, name: type });
        pos = from;
      } else if (type === "varints") for (pos = from; pos < from + length; ) varint(from + length);
      else if (type && length % (packed[type] ?? 1) !== 0)
        fail(start, `${what} has ${length} bytes, which are no items of ${packed[type]}`);
    }
  }
  return functions;
}
