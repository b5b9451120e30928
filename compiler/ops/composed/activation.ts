// Activation functions in any floating point type.

import type { Builder } from "../../ir/builder.js";
import type { Value } from "../../ir/types.js";
import { compute } from "./compute.js";

/** x / 2 (1 + erf(x / sqrt(2))), or with tanh of a polynomial instead of erf. */
export function gelu(b: Builder, x: Value, approximate: "none" | "tanh"): Value {
  const inner = `mul(add(x0,mul(mul(mul(x0,x0),x0),0.044715)),${Math.sqrt(2 / Math.PI)})`;
  const part = approximate === "tanh" ? `tanh(${inner})` : `erf(mul(x0,${Math.SQRT1_2}))`;
  return compute(b, `mul(mul(x0,0.5),add(1,${part}))`, x);
}
