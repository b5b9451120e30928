// kernels/cpu/depthwise.hpp: f32 images, each channel convolved with weights of its own, and the gradient by x. The
// general template computes everything else.

import { elements, type Node } from "../../ir/types.js";
import { ceilDiv } from "../../util/math.js";
import type { TemplateSpec } from "../template.js";
import { extents, inputType, listAttr, numberAttr, outputType } from "./shapes.js";
import { vectorWidth } from "./sums.js";

const TASK = 1 << 18; // multiplications of a task, roughly

function sizes(n: Node, transposed: boolean) {
  const [, C, H, W] = extents(n, inputType(n, 0), 4) as [number, number, number, number];
  const [, , P, Q] = extents(n, outputType(n), 4) as [number, number, number, number];
  const [, , R, S] = extents(n, inputType(n, 1), 4) as [number, number, number, number];
  const two = (name: string, of: string): Record<string, number> => {
    const [h, w] = listAttr(n, name) as [number, number];
    return { [`${of}_H`]: h, [`${of}_W`]: w };
  };
  const ROW_BLOCK = Math.max(1, Math.floor(TASK / (Q * C * R * S)));
  return {
    ...{ C, H, W, P, Q, R, S },
    ...two("strides", "STRIDE"),
    ...two("dilations", "DILATION"),
    ...two("pads", "PAD"),
    TRANSPOSED: transposed ? 1 : 0,
    ROW_BLOCK,
  };
}

/** conv_nd, or conv_nd_dgrad, of images with as many parts as channels. */
const depthwiseOf = (op: string, transposed: boolean): TemplateSpec => ({
  name: "depthwise",
  op,
  prologue: [],
  epilogue: true,
  sums: false,
  moments: false,
  takes: (n) => {
    const [x, w] = [inputType(n, 0), inputType(n, 1)];
    const [, channels] = x.shape;
    const apart = numberAttr(n, "parts") === channels && w.shape[0] === channels && w.shape[1] === 1;
    return x.dtype === "f32" && x.shape.length === 4 && apart && elements(outputType(n).shape) > 0;
  },
  constants: (n) => sizes(n, transposed),
  launch: (n, { rows, groups }, target) => {
    const { C, P, R, S, ROW_BLOCK } = sizes(n, transposed);
    const lanes = vectorWidth(target);
    return {
      tasks: [groups * ceilDiv((rows / groups) * P, ROW_BLOCK)],
      workspaceBytes: 0,
      scratchBytes: 4 * R * S * ceilDiv(C, lanes) * lanes,
    };
  },
  flops: (n) => {
    const { R, S } = sizes(n, transposed);
    return 2 * elements(outputType(n).shape) * R * S;
  },
});

export const depthwise = depthwiseOf("conv_nd", false);
export const depthwiseDgrad = depthwiseOf("conv_nd_dgrad", true);
