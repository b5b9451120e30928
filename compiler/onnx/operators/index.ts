// The operators of ai.onnx, and of its training domain, that foreign models may have. An entry of one of these tables
// makes another one importable.

import { attentions } from "./attention.js";

import { convolutions } from "./convolutions.js";
import { deformations } from "./deform.js";
import { einsums } from "./einsum.js";
import { elementwise } from "./elementwise.js";
import { generate } from "./generate.js";
import { indexing } from "./indexing.js";
import { losses } from "./losses.js";
import { move } from "./move.js";
import { ngrams } from "./ngrams.js";
import { normalization } from "./normalization.js";
import { pads } from "./pad.js";
import { pools } from "./pools.js";
import { products } from "./products.js";
import { quantized } from "./quantized.js";
import { recurrent } from "./recurrent.js";
import { reduce } from "./reduce.js";
import { resizing } from "./resize.js";
import { type Rule, type Rules, ruleFor } from "./rule.js";
import { sampling } from "./sample.js";
import { signal } from "./signal.js";
import { training } from "./training.js";

const rules: Rules = {
  ...{ ...elementwise, ...reduce },
  ...{ ...move, ...pads, ...indexing, ...generate, ...resizing, ...sampling, ...signal, ...ngrams },
  ...{ ...convolutions, ...deformations, ...pools, ...normalization, ...products, ...einsums, ...quantized },
  ...{ ...losses, ...attentions, ...recurrent, ...training },
};

/** The rule of an operator in a version of its operator set; undefined if there is none. "" is ai.onnx. */
export function ruleOf(domain: string, operator: string, version: number): Rule | undefined {
  const name = domain === "" ? operator : `${domain}::${operator}`;
  return Object.hasOwn(rules, name) ? ruleFor(rules[name] as Rule | readonly Rule[], version) : undefined;
}
