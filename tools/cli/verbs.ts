// The verbs of the command line, in the order in which help lists them and in which their examples run.

import { clean } from "./clean.js";
import { compileVerb } from "./compile.js";
import { convert } from "./convert.js";
import { data } from "./data.js";
import { doctor } from "./doctor.js";
import { exportVerb } from "./export.js";
import { finetune } from "./finetune.js";
import { inspect } from "./inspect.js";
import { lowshot } from "./lowshot.js";
import type { Verb } from "./record.js";
import { report } from "./report.js";
import { retrain } from "./retrain.js";
import { train } from "./train.js";
import { weights } from "./weights.js";

export const verbs: readonly Verb[] = [
  doctor,
  data,
  train,
  report,
  clean,
  retrain,
  finetune,
  lowshot,
  exportVerb,
  convert,
  compileVerb,
  inspect,
  weights,
];
