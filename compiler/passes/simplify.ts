// Laws that hold for every input. Those that remove work keep the bits, and none makes a kernel more expensive.

import { type Pass, sameShape } from "../ir/types.js";
import { scale } from "../ops/constant.js";
import { neg, relu, stop_gradient } from "../ops/elementwise.js";
import { reshape } from "../ops/move.js";
import { group_sum } from "../ops/reduce.js";
import { any, bound, match, type Rule, rewrite, Skip } from "../rewrite/rules.js";

const rules: readonly Rule[] = [
  {
    law: "stop_gradient(x) => x",
    pattern: match(stop_gradient, any("x")),
    apply: (_b, { values }) => values.x ?? new Skip("no operand"),
  },
  {
    law: "relu(relu(x)) => relu(x)",
    pattern: match(relu, match(relu, any("x"))),
    apply: (_b, _m, root) => root.inputs[0] ?? new Skip("no operand"),
  },
  {
    law: "neg(neg(x)) => x",
    pattern: match(neg, match(neg, any("x"))),
    apply: (_b, { values }) => values.x ?? new Skip("no operand"),
  },
  {
    law: "scale(x, 1) => x",
    pattern: match(scale, any("x")),
    apply: (_b, { values }, root) => (root.attrs.factor === 1 && values.x) || new Skip("another factor"),
  },
  {
    law: "reshape(reshape(x, s), t) => reshape(x, t)",
    pattern: match(reshape, bound("inner", reshape, any("x"))),
    apply: (b, { values }, root) =>
      values.x ? reshape(b, values.x, { shape: root.attrs.shape as readonly number[] }) : new Skip("no operand"),
  },
  {
    law: "reshape(x, its own shape) => x",
    pattern: match(reshape, any("x")),
    apply: (_b, { values }, root) => {
      const x = values.x;
      return x && sameShape(x.type.shape, root.outputs[0]?.type.shape ?? []) ? x : new Skip("another shape");
    },
  },
  {
    law: "group_sum(x of one group) => reshape(x)",
    pattern: match(group_sum, any("x")),
    apply: (b, { values }, root) => {
      const x = values.x;
      return x?.type.shape[0] === 1
        ? reshape(b, x, { shape: root.outputs[0]?.type.shape ?? [] })
        : new Skip("several groups");
    },
  },
];

export const simplify: Pass = { name: "simplify", run: (g) => rewrite(g, rules) };
