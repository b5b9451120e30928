// The operators of ai.onnx that foreign models may have. An entry of one of these tables makes another one importable.

import { elementwise } from "./elementwise.js";
import { layers } from "./layers.js";
import { move } from "./move.js";
import { recurrent } from "./recurrent.js";
import { reduce } from "./reduce.js";
import { type Rule, type Rules, ruleFor } from "./rule.js";
import { training } from "./training.js";

const rules: Rules = { ...elementwise, ...layers, ...move, ...reduce, ...recurrent, ...training };

/** The rule of an operator in a version of its operator set; undefined if there is none. "" is ai.onnx. */
export function ruleOf(domain: string, operator: string, version: number): Rule | undefined {
  const name = domain === "" ? operator : `${domain}::${operator}`;
  return Object.hasOwn(rules, name) ? ruleFor(rules[name] as Rule | readonly Rule[], version) : undefined;
}
