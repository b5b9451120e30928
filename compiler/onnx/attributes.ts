// Attributes of ops as ONNX attributes and back, without loss: a fraction becomes an f64 tensor, because ONNX's float
// is f32, and a boolean a bool tensor, because ONNX has no boolean attributes.

import { any } from "../ir/element_types.js";
import type { Attrs, AttrValue } from "../ir/types.js";
import { type Attribute, type Attributes, numbersOf, numbersTensor } from "./model.js";

const isInt = (x: number): boolean => Number.isSafeInteger(x) && !Object.is(x, -0);

/** The ONNX attributes of these attributes of an op. */
export const toAttributes = (attrs: Attrs): Attributes =>
  Object.fromEntries(Object.entries(attrs).map(([k, v]) => [k, toAttribute(v)]));

function toAttribute(v: AttrValue): Attribute {
  if (typeof v === "string") return { kind: "string", value: v };
  if (typeof v === "boolean") return { kind: "tensor", value: numbersTensor("", "bool", [], [Number(v)]) };
  if (typeof v === "number")
    return isInt(v) ? { kind: "int", value: v } : { kind: "tensor", value: numbersTensor("", "f64", [], [v]) };
  return v.every(isInt)
    ? { kind: "ints", value: v }
    : { kind: "tensor", value: numbersTensor("", "f64", [v.length], v) };
}

/** The element types of the IR. */
export const dtypes: ReadonlySet<string> = new Set(any);

/** The inverse of `toAttributes`. Throws for an attribute that `toAttributes` does not write. */
export const fromAttributes = (attributes: Attributes): Attrs =>
  Object.fromEntries(Object.entries(attributes).map(([k, a]) => [k, fromAttribute(k, a)]));

/** Texts that are attributes of ops: element types, names and scalar expressions. */
const isWord = /^[\w(),.+-]+$/;

function fromAttribute(name: string, a: Attribute): AttrValue {
  if (a.kind === "int" || a.kind === "ints") return a.value;
  if (a.kind === "string" && isWord.test(a.value)) return a.value;
  if (a.kind === "tensor") {
    const { type, dims } = a.value;
    if (type === "bool" && dims.length === 0) return numbersOf(a.value)[0] === 1;
    if (type === "f64" && dims.length === 0) return numbersOf(a.value)[0] as number;
    if (type === "f64" && dims.length === 1) return numbersOf(a.value);
  }
  throw new Error(`attribute ${name} has a type that no op of moproc takes`);
}
