// Operators whose elements depend on their positions.

import type { Value } from "../../ir/types.js";
import { reshaped } from "../../ops/composed/layout.js";
import * as op from "../../ops/index.js";
import type { At } from "../at.js";
import { dataTypes } from "../model.js";
import { type Build, type Rules, since } from "./rule.js";

/** The element type that an attribute names, or this one. */
export const typeNamed = (at: At, name: string, otherwise: number): NonNullable<(typeof dataTypes)[number]> => {
  const code = at.int(name, otherwise);
  return dataTypes[code] ?? at.refuse(`element type ${code} is not supported`);
};

const eyeLike: Build = (at) => {
  const { dtype, shape } = at.typeOnly(0);
  if (shape.length !== 2) at.refuse(`[${shape}] is no matrix`);
  const to = typeNamed(at, "dtype", dataTypes.indexOf(dtype));
  return op.map(at.builder, [], { expr: `to_${to}(equal(i1,add(i0,${at.int("k", 0)})))`, shape });
};

/** x on and above, or on and below, the k-th diagonal of its last two axes, 0 elsewhere. */
const trilu: Build = (at) => {
  const [b, x, upper] = [at.builder, at.in(0), at.int("upper", 1) === 1];
  const { shape } = x.type;
  if (shape.length < 2) at.refuse(`[${shape}] has no matrices`);
  const from = `sub(i${shape.length - 1},i${shape.length - 2})`;
  const known = at.has(1) ? at.numberIfConstant(1) : 0;
  const operands: Value[] = known === undefined ? [x, reshaped(b, at.in(1), [])] : [x];
  const kept = `${upper ? "greater" : "less"}_equal(${from},${known ?? "x1"})`;
  return op.map(b, operands, { expr: `where(${kept},x0,0)` });
};

export const generate: Rules = {
  EyeLike: since(9, eyeLike),
  Trilu: since(14, trilu),
};
