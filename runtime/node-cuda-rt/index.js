// Loads the compiled addon. All behaviour is in C++; this file only finds it: built here in a clone, in an installed
// package a part of the native part, which is built when this file is first loaded.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const inClone = fileURLToPath(new URL("./build/Release/node_cuda_rt.node", import.meta.url));
const file = existsSync(inClone) ? inClone : await installed();
const addon = createRequire(import.meta.url)(file);

async function installed() {
  const { nativeFile } = await import("../../build/js/compiler/emit/native.js");
  const path = nativeFile("node_cuda_rt.node");
  if (!existsSync(path)) throw new Error(`${inClone} is not built: run npm run build`);
  return path;
}

export const load = (dir, options = {}) => addon.load(dir, options);
