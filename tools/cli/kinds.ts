// The kinds of flags' values. Each describes its values and parses a text.

import { InvalidArgumentError } from "commander";
import type { Kind } from "./record.js";

function bad(wanted: string): never {
  throw new InvalidArgumentError(`It must be ${wanted}.`);
}

/** Whole numbers from `least` to `most`. */
export function integer(least: number, most = Number.POSITIVE_INFINITY): Kind & { parse(text: string): number } {
  const bounded = Number.isFinite(most);
  const range = bounded ? `${least} to ${most}` : `${least} or more`;
  return {
    range,
    parse(text) {
      const n = Number(text);
      if (text.trim() === "" || !Number.isInteger(n) || n < least || n > most)
        bad(bounded ? `a whole number from ${range}` : `a whole number of at least ${least}`);
      return n;
    },
  };
}

/** Finite numbers greater than 0. */
export const positive: Kind = {
  range: "greater than 0",
  parse(text) {
    const n = Number(text);
    return n > 0 && Number.isFinite(n) ? n : bad("a number greater than 0");
  },
};

/** Numbers from 0 on that are less than `most`. */
export const below = (most: number): Kind => ({
  range: `0 or more, less than ${most}`,
  parse(text) {
    const n = Number(text);
    return text.trim() !== "" && n >= 0 && n < most ? n : bad(`a number of 0 or more, less than ${most}`);
  },
});

/** One of some names. */
export const oneOf = (names: readonly string[]): Kind => ({
  range: `one of ${names.join(", ")}`,
  parse: (text) => (names.includes(text) ? text : bad(`one of ${names.join(", ")}`)),
});

/** A comma list of positive whole numbers; the value is in ascending order and without repetitions. */
export const countList: Kind = {
  range: "a comma list of whole numbers from 1 on",
  parse: (text) => [...new Set(text.split(",").map(integer(1).parse))].toSorted((a, b) => a - b),
};

/** NAME=N with a positive whole number N; the value is the pair of both. The name may have a "=". */
export const extent: Kind = {
  range: "NAME=N",
  parse(text) {
    const [, name, digits] = /^(.+)=(\d+)$/s.exec(text) ?? [];
    const n = Number(digits);
    return name !== undefined && n >= 1 && Number.isSafeInteger(n)
      ? [name, n]
      : bad("a name, = and a whole number from 1");
  },
};

/** Any text, for a flag that may be repeated. */
export const anyText: Kind = { parse: (text) => text };

/** NAME=FILE; the value is the pair of both. */
export const namedFile: Kind = {
  range: "NAME=FILE",
  parse(text) {
    const [, name, file] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
    return name !== undefined && file !== undefined ? [name, file] : bad("a name, = and a file");
  },
};
