// An ONNX file as a tree of fields, which can be changed and written again: lengths then fit, so that a change reaches
// what reads the fields.

import { messages } from "../../compiler/onnx/wire.js";
import { tag, varint } from "./hostile_parts.js";

export interface Field {
  number: number;
  wire: number; // 0 varint, 1 eight bytes, 2 bytes or a message, 5 four bytes
  message: string | undefined; // the kind of message that the value is
  value: bigint | Buffer | Field[];
}

type Kinds = Readonly<Record<string, Readonly<Record<number, string>>>>;
const kinds: Kinds = messages;

/** The fields of a message of this kind. The bytes must be valid. */
export function fieldsOf(bytes: Buffer, kind: string): Field[] {
  const fields: Field[] = [];
  let pos = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[pos++] as number;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (pos < bytes.length) {
    const key = Number(number());
    const [field, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) {
      fields.push({ number: field, wire, message: undefined, value: number() });
      continue;
    }
    const length = wire === 2 ? Number(number()) : wire === 1 ? 8 : 4;
    const content = bytes.subarray(pos, pos + length);
    pos += length;
    const type = kinds[kind]?.[field];
    const message = type !== undefined && Object.hasOwn(kinds, type) ? type : undefined;
    const value = message === undefined ? Buffer.from(content) : fieldsOf(content, message);
    fields.push({ number: field, wire, message, value });
  }
  return fields;
}

/** The bytes of fields. */
export const bytesOf = (fields: readonly Field[]): Buffer =>
  Buffer.concat(
    fields.flatMap(({ number, wire, value }) => {
      if (typeof value === "bigint") return [tag(number, wire), varint(BigInt.asUintN(64, value))];
      const content = Array.isArray(value) ? bytesOf(value) : value;
      return wire === 2 ? [tag(number, wire), varint(content.length), content] : [tag(number, wire), content];
    }),
  );

/** A field and the list that it is in. */
export interface Place {
  readonly list: Field[];
  readonly index: number;
  readonly kind: string; // of the message that it is in
  readonly field: Field;
}

/** All fields of a message, also those inside of others. */
export function placesIn(list: Field[], kind: string): Place[] {
  return list.flatMap((field, index) => [
    { list, index, kind, field },
    ...(Array.isArray(field.value) ? placesIn(field.value, field.message as string) : []),
  ]);
}
