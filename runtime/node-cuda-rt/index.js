// Loads the compiled addon. All behaviour is in C++; this file only finds it.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("./build/Release/node_cuda_rt.node", import.meta.url));
if (!existsSync(file)) throw new Error(`${file} is not built: run npm run build`);
const addon = createRequire(import.meta.url)(file);

export const load = (dir, options = {}) => addon.load(dir, options);
