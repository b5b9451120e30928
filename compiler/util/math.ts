// Small integer arithmetic shared by the lowering.

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const alignUp = (x: number, to: number): number => ceilDiv(x, to) * to;
export const product = (xs: readonly number[]): number => xs.reduce((a, b) => a * b, 1);
