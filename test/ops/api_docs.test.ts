// docs/api.md lists all ops as their records are.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { root } from "../../compiler/util/root.js";
import { BEGIN, END, opTable } from "../../tools/docs/op_table.js";

/** A table without the padding of its columns. */
const plain = (text: string): string => text.trim().replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---");

test("the table of ops in docs/api.md is up to date (npm run docs)", (t) => {
  const page = readFileSync(join(root, "docs", "api.md"), "utf8");
  const written = page.slice(page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END));
  t.is(plain(written), plain(opTable()));
});
