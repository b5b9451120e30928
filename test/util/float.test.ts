// The 16-bit formats as numbers, and numbers as the nearest of them.

import test from "ava";
import { bf16, bf16Bits, f16, f16Bits } from "../../compiler/util/float.js";

const formats = { f16: [f16, f16Bits], bf16: [bf16, bf16Bits] } as const;
for (const [name, [decode, encode]] of Object.entries(formats)) {
  test(`every ${name} keeps its bits, and a NaN stays one`, (t) => {
    const odd = Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => {
      const x = decode(bits);
      return Number.isNaN(x) ? !Number.isNaN(decode(encode(x))) : encode(x) !== bits;
    });
    t.deepEqual(odd, []);
  });
  test(`numbers between two ${name} become the nearest one, in the middle the even one`, (t) => {
    const largest = name === "f16" ? 0x7bff : 0x7f7f;
    const odd = Array.from({ length: largest }, (_, bits) => bits).filter((low) => {
      const [x, y] = [decode(low), decode(low + 1)];
      const even = low % 2 === 0 ? low : low + 1;
      const near = [encode(x + (y - x) / 4), encode(x + ((y - x) * 3) / 4), encode(x + (y - x) / 2)];
      const negative = encode(-(x + (y - x) / 2));
      return near.join() !== [low, low + 1, even].join() || negative !== (even | 0x8000);
    });
    t.deepEqual(odd, []);
  });
}
test("numbers beyond the largest are infinite from the middle to the next power on", (t) => {
  t.deepEqual([65519, 65520, -65520, Infinity].map(f16Bits), [0x7bff, 0x7c00, 0xfc00, 0x7c00]);
  t.deepEqual([3.3e38, 3.4e38, -Infinity].map(bf16Bits), [0x7f78, 0x7f80, 0xff80]);
});
