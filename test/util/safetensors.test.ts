// The reader of .safetensors files: what it reads, and that it refuses many bad files with a message that names file
// and place.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { fileDigest } from "../../compiler/util/digest.js";
import { parseJson } from "../../compiler/util/json.js";
import { root } from "../../compiler/util/root.js";
import { SafetensorsFile } from "../../compiler/util/safetensors.js";

mkdirSync(join(root, "build", "test"), { recursive: true });
const scratch = mkdtempSync(join(root, "build", "test", "safetensors-"));
test.after.always(() => rmSync(scratch, { recursive: true, force: true }));

/** A file of this header text, data behind it. `claim`: the length it says its header has. */
function bytes(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0), claim?: bigint): Uint8Array {
  const text = typeof header === "string" ? Buffer.from(header) : header;
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claim ?? BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

let files = 0;
function written(content: Uint8Array): string {
  const path = join(scratch, `case${files++}.safetensors`);
  writeFileSync(path, content);
  return path;
}

const entry = (dtype: string, shape: readonly number[], begin: number, end: number): string =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;
const small = bytes(
  `{"__metadata__":{"arch":"resnet10","note":"ä\\n"},` +
    `"b":${entry("F32", [2, 1], 4, 12)},"a":${entry("BF16", [2], 0, 4)}}  `,
  Uint8Array.of(0x80, 0x3f, 0x20, 0xc1, ...new Uint8Array(Float32Array.of(1.5, -0).buffer)),
);

test("tensors, metadata and digests of a good file", (t) => {
  const path = written(small);
  const f = SafetensorsFile.open(path);
  t.deepEqual(
    [...f.metadata],
    [
      ["arch", "resnet10"],
      ["note", "ä\n"],
    ],
  );
  t.deepEqual(f.entry("b").shape, [2, 1]);
  t.deepEqual([...f.floats("a")], [1, -10]);
  t.true(Object.is(f.floats("b")[1], -0));
  t.is(f.floats("b")[0], 1.5);
  t.throws(() => f.entry("c"), { message: `${path}: tensor c is missing` });
  t.throws(() => f.entry("constructor"), { message: /constructor is missing/ });
  t.is(f.dataDigest(), fileDigest(written(small.subarray(-12))));
  f.close();
});

test("half precision, by its definition", (t) => {
  const words = Uint16Array.of(0x0000, 0x8000, 0x0001, 0x83ff, 0x0400, 0x3c00, 0xbc01, 0x7bff, 0x7c00, 0xfc00, 0x7e01);
  const f = SafetensorsFile.open(written(bytes(`{"h":${entry("F16", [11], 0, 22)}}`, new Uint8Array(words.buffer))));
  const want = [0, -0, 2 ** -24, -1023 * 2 ** -24, 2 ** -14, 1, -1 - 2 ** -10, 65504, Infinity, -Infinity, Number.NaN];
  t.deepEqual([...f.floats("h")], want);
  f.close();
});

test("an empty tensor, a scalar, a file without tensors, a name that objects have", (t) => {
  const f = SafetensorsFile.open(
    written(
      bytes(
        `{"none":${entry("F32", [0, 7], 0, 0)},"__proto__":${entry("F32", [], 0, 4)},"i":${entry("I64", [1], 4, 12)}}`,
        new Uint8Array(12),
      ),
    ),
  );
  t.is(f.floats("none").length, 0);
  t.deepEqual([...f.floats("__proto__")], [0]);
  t.throws(() => f.floats("i"), { message: /tensor i is I64, not F32/ });
  f.close();
  t.is(SafetensorsFile.open(written(bytes("{}"))).tensors.size, 0);
});

test("cut off at any byte, or with a byte too many: refused, named", (t) => {
  for (let n = 0; n < small.length; n++) {
    const path = written(small.subarray(0, n));
    t.throws(() => SafetensorsFile.open(path), { message: (m) => m.startsWith(`${path}: `) }, `${n} bytes`);
  }
  t.throws(() => SafetensorsFile.open(written(Buffer.concat([small, Uint8Array.of(0)]))), {
    message: /1 bytes follow the last tensor/,
  });
});

test("any one byte of the header changed: refused, or the same layout", (t) => {
  const header = 8 + Number(Buffer.from(small).readBigUInt64LE());
  for (let at = 0; at < header; at++) {
    for (const flip of [0x01, 0x02, 0x10, 0x80]) {
      const path = written(small.map((v, i) => (i === at ? v ^ flip : v)));
      try {
        const f = SafetensorsFile.open(path);
        t.is(
          [...f.tensors.values()].reduce((s, e) => s + e.end - e.begin, 0),
          12,
        );
        f.close();
      } catch (e) {
        t.true((e as Error).message.startsWith(`${path}: `), (e as Error).stack);
      }
      rmSync(path);
    }
  }
});

const f32 = entry("F32", [1], 0, 4);
/** [what, header, bytes of data, what the message says] */
const hostile: readonly (readonly [string, string | Uint8Array, number, RegExp])[] = [
  ["no JSON", "{", 0, /not valid JSON/],
  ["an array", "[]", 0, /not a JSON object/],
  ["null", "null", 0, /not a JSON object/],
  ["nothing", "", 0, /not valid JSON/],
  ["two values", "{} {}", 0, /not valid JSON/],
  ["a byte order mark", "\ufeff{}", 0, /not valid JSON/],
  ["no UTF-8", Uint8Array.of(0x7b, 0x22, 0xff, 0x22), 0, /not UTF-8/],
  ["overlong UTF-8", Uint8Array.of(0x7b, 0xc0, 0xa2, 0x7d), 0, /not UTF-8/],
  ["a tensor twice", `{"a":${f32},"a":${f32}}`, 4, /the key "a" appears twice/],
  ["a tensor twice, once escaped", `{"a":${f32},"\\u0061":${f32}}`, 4, /the key "a" appears twice/],
  [
    "a field twice",
    `{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
    4,
    /the key "dtype" appears twice/,
  ],
  ["metadata twice", `{"__metadata__":{},"__metadata__":{}}`, 0, /appears twice/],
  ["a metadata key twice", `{"__metadata__":{"k":"1","k":"2"}}`, 0, /the key "k" appears twice/],
  ["metadata that is a list", `{"__metadata__":["a"]}`, 0, /__metadata__ is not a JSON object/],
  ["a number in the metadata", `{"__metadata__":{"k":1}}`, 0, /__metadata__\.k is not a string/],
  ["deep nesting", "[".repeat(100000), 0, /nested more than 32 deep/],
  ["deep objects", `{"a":`.repeat(1000), 0, /nested more than 32 deep/],
  ["an open string", `{"a\\`, 0, /not valid JSON/],
  ["a colon alone", ":", 0, /not valid JSON/],
  ["an entry that is a number", `{"a":1}`, 0, /tensor a: its header is not/],
  ["an entry that is null", `{"a":null}`, 0, /tensor a: its header is not/],
  ["a field more", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`, 4, /tensor a: its header is not/],
  ["a field less", `{"a":{"dtype":"F32","shape":[1]}}`, 4, /tensor a: its header is not/],
  ["an unknown dtype", `{"a":${entry("F33", [1], 0, 4)}}`, 4, /tensor a: unknown dtype F33/],
  ["a dtype that objects have", `{"a":${entry("toString", [1], 0, 4)}}`, 4, /tensor a: unknown dtype toString/],
  ["a dtype that is a number", `{"a":{"dtype":5,"shape":[1],"data_offsets":[0,4]}}`, 4, /tensor a: unknown dtype 5/],
  ["a negative extent", `{"a":${entry("F32", [-1], 0, 4)}}`, 4, /tensor a: its shape/],
  ["half an extent", `{"a":${entry("F32", [0.5], 0, 2)}}`, 2, /tensor a: its shape/],
  ["an extent in quotes", `{"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}}`, 4, /tensor a: its shape/],
  ["a shape that is a number", `{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}`, 4, /tensor a: its shape/],
  [
    "an extent beyond 2^53",
    `{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}`,
    4,
    /tensor a: its shape/,
  ],
  [
    "a product that overflows 64 bits to 4",
    `{"a":{"dtype":"F32","shape":[4294967297,4294967296,1073741824],"data_offsets":[0,4]}}`,
    4,
    /hold 4 bytes, but its shape/,
  ],
  ["an infinite product", `{"a":${entry("F32", new Array(40).fill(9e15), 0, 4)}}`, 4, /hold 4 bytes, but its shape/],
  [
    "a shape larger than its range",
    `{"a":${entry("F32", [2], 0, 4)}}`,
    4,
    /hold 4 bytes, but its shape \[2\] of F32 takes 8/,
  ],
  ["a range that runs backwards", `{"a":${entry("F32", [1], 4, 0)}}`, 4, /not a range/],
  ["a negative range", `{"a":${entry("F32", [1], -4, 0)}}`, 4, /not a range/],
  ["three offsets", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}`, 4, /not a range/],
  ["half an offset", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4.5]}}`, 4, /not a range/],
  ["an overlap", `{"a":${f32},"b":${entry("F32", [1], 2, 6)}}`, 6, /tensor b: its data overlap/],
  ["the same range twice", `{"a":${f32},"b":${f32}}`, 4, /tensor b: its data overlap/],
  ["a gap", `{"a":${f32},"b":${entry("F32", [1], 8, 12)}}`, 12, /tensor b: its data leave a gap/],
  ["a gap in front", `{"a":${entry("F32", [1], 4, 8)}}`, 8, /tensor a: its data leave a gap/],
  ["data missing", `{"a":${f32}}`, 3, /tensor a: its data end at byte 4 of 3/],
  ["data left over", `{"a":${f32}}`, 5, /1 bytes follow/],
  ["a name with an escape sequence", `{"\\u001b[2J":1}`, 0, /tensor "\\u001b\[2J"/],
  ["an endless name", `{"${"x".repeat(5000)}":1}`, 0, /tensor "x{200}":/],
];
for (const [what, header, data, message] of hostile) {
  test(`refused: ${what}`, (t) => {
    const path = written(bytes(header, new Uint8Array(data)));
    const e = t.throws(() => SafetensorsFile.open(path));
    t.true(e?.message.startsWith(`${path}: `), e?.message);
    t.regex(e?.message ?? "", message);
    t.true((e?.message.length ?? 0) < 1000);
  });
}

test("refused: header lengths beyond the file, beyond 2^53, beyond the limit", (t) => {
  for (const claim of [3n, 1n << 53n, (1n << 64n) - 1n]) {
    t.throws(() => SafetensorsFile.open(written(bytes("{}", undefined, claim))), {
      message: new RegExp(`claims ${claim} bytes`),
    });
  }
  const large = written(bytes(`{}${" ".repeat(17 << 20)}`));
  t.throws(() => SafetensorsFile.open(large), { message: /larger than/ });
});

test("refused: no such file, a directory", (t) => {
  t.throws(() => SafetensorsFile.open(join(scratch, "nowhere")), { message: /nowhere: ENOENT/ });
  t.throws(() => SafetensorsFile.open(scratch), { message: /is not a regular file/ });
});

test("parseJson is JSON.parse where nothing repeats", (t) => {
  const text = ` {"a": [1, {"a": "}\\"{:"}, {"a": null}], "b\\\\": {"a": -1.5e3}, "": true} `;
  t.deepEqual(parseJson(text), JSON.parse(text));
  t.throws(() => parseJson(`[{"x": 1, "y": 2, "x": 3}]`), { message: /"x" appears twice/ });
});
