// The operators of ai.onnx that foreign models may have. An entry of one of these tables makes another one importable.

import { elementwise } from "./elementwise.js";
import { layers } from "./layers.js";
import { move } from "./move.js";
import { reduce } from "./reduce.js";
import { type Rule, type Rules, ruleFor } from "./rule.js";

const rules: Rules = { ...elementwise, ...layers, ...move, ...reduce };

/** The rule of an operator in a version of the operator set; undefined if there is none. */
export const ruleOf = (operator: string, version: number): Rule | undefined =>
  Object.hasOwn(rules, operator) ? ruleFor(rules[operator] as Rule | readonly Rule[], version) : undefined;
