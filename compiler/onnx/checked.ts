// Numbers and texts of protobuf messages, checked before they are used.

/** A text that must be there. */
export function text(s: string | null | undefined, what: string): string {
  if (!s) throw new Error(`${what} is missing`);
  return s;
}

/** An integer of a message, which may be a Long. */
export function integer(x: number | { toNumber(): number }, what: string): number {
  const n = typeof x === "number" ? x : x.toNumber();
  if (!Number.isSafeInteger(n)) throw new Error(`${what}: ${n} is beyond 2^53`);
  return n;
}

/** An item of a list of integers. Beyond 2^53 there are only the ends of a Slice, which mean the end of the axis. */
export const clamped = (x: number | { toNumber(): number }): number => {
  const n = typeof x === "number" ? x : x.toNumber();
  return Math.min(Math.max(n, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
};

/** A number of things. */
export function count(x: number | { toNumber(): number }, what: string): number {
  const n = integer(x, what);
  if (n < 0) throw new Error(`${what} is negative: ${n}`);
  return n;
}
