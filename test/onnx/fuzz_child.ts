// Reads mutants of foreign models in a process of its own: SEED COUNT FOLDER [CASES]. FOLDER/seed has the seed that is
// being read, and FOLDER/totals.json the results at the end.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { corpus, fuzz } from "../support/fuzz_onnx.js";

const [first, count, folder = ".", cases = ""] = process.argv.slice(2);
const files = corpus(cases === "" ? undefined : cases);
const totals = fuzz(files, join(folder, "mutant.onnx"), Number(first), Number(count), undefined, (seed) =>
  writeFileSync(join(folder, "seed"), String(seed)),
);
const memory = process.resourceUsage().maxRSS / 1024; // MB
writeFileSync(join(folder, "totals.json"), JSON.stringify({ ...totals, memory }));
