// The bodies of all ops of the IR in standard ONNX operators.

import type { Body } from "./body.js";
import { conv } from "./conv.js";
import { elementwise } from "./elementwise.js";
import { general } from "./general.js";
import { loss } from "./loss.js";
import { move } from "./move.js";
import { norm } from "./norm.js";
import { pool } from "./pool.js";
import { random } from "./random.js";
import { reduce } from "./reduce.js";
import { update } from "./update.js";

/** By the op's name. */
export const bodies: ReadonlyMap<string, Body> = new Map(
  [elementwise, move, reduce, conv, pool, norm, loss, update, general, random].flat().map((b) => [b.op, b]),
);
