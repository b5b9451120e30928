// kernels/cuda/take_rows.cuh, put_rows.cuh, copy_nd.cuh.

import { elements } from "../../../ir/types.js";
import { ceilDiv } from "../../../util/math.js";
import type { TemplateSpec } from "../../template.js";
import * as cpu from "../move.js";
import { grid, onCuda } from "./blocks.js";

const ROW_PIECE = 16384; // bytes of a block, row_piece in C++
const COPY_BLOCK = 4096; // elements of a block, copy_elements in C++

const rowMove = (spec: TemplateSpec): TemplateSpec =>
  onCuda(spec, { launch: (n, { rows }) => grid([rows * ceilDiv(cpu.rowBytes(n), ROW_PIECE)]) });
export const takeRows = rowMove(cpu.takeRows);
export const putRows = rowMove(cpu.putRows);

const copy = (spec: TemplateSpec, parts: cpu.PartsOf): TemplateSpec =>
  onCuda(spec, {
    launch: (n, { rows }) => {
      const inner = cpu.splitCopy(parts(n)).parts.map(({ axes }) => elements(axes.slice(1).map((a) => a.extent)));
      return grid([inner.reduce((s, size) => s + ceilDiv(size * rows, COPY_BLOCK), 0)]);
    },
  });
export const transpose = copy(cpu.transpose, cpu.transposeParts);
export const slice = copy(cpu.slice, cpu.sliceParts);
export const concat = copy(cpu.concat, cpu.concatParts);
export const broadcastCopy = copy(cpu.broadcastCopy, cpu.broadcastParts);
