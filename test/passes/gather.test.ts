// The gathers of ranks begin together, directly after their operands are computed, and are awaited where they are first
// read.

import test from "ava";
import { emitter } from "../../compiler/emit/kernel.js";
import { Builder } from "../../compiler/ir/builder.js";
import type { Graph, Node } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import { lowerPrograms } from "../../compiler/lower/lower.js";
import { all_gather } from "../../compiler/ops/collective.js";
import * as op from "../../compiler/ops/index.js";
import { distribute } from "../../compiler/passes/distribute.js";
import { gather } from "../../compiler/passes/gather.js";
import { optimize } from "../../compiler/pipeline.js";
import { nativeTarget } from "../support/compiled.js";
import { programs } from "../support/tiny_mopro.js";

const target = { ...nativeTarget, ranks: [2] };
const names = (g: Graph): string[] => g.nodes.map((n) => n.outputs[0]?.name ?? "");

test("gathers move behind the last of their operands; one that another needs stays", (t) => {
  const b = Builder.create("g");
  const x = b.input("x", { dtype: "f32", shape: [4, 3] });
  const [one, two, three] = ["one", "two", "three"].map((s) => b.at(s)) as [Builder, Builder, Builder];
  const first = all_gather(one, op.relu(one, x), { ranks: 2 });
  const unrelated = op.relu(two, op.relu(two, x));
  const y = op.channel_sum(two, first, { groups: 1 });
  const second = all_gather(two, op.mul(two, x, op.broadcast_to(two, y, { shape: [4, 3] })), { ranks: 2 });
  const late = all_gather(three, x, { ranks: 2 });
  const g = b.finish([second, unrelated, late]);
  const moved = gather.run(g, target);
  verify(moved);
  const at = (v: { readonly name: string }): number => names(moved).indexOf(v.name);
  t.is(at(late), at(second) + 1);
  t.true(at(first) < at(second));
  t.true(at(unrelated) > at(late), "what no gather needs comes after them");
  t.deepEqual(names(moved).toSorted(), names(g).toSorted());
  t.is(gather.run(moved, target), moved);
});

test("a graph of one rank stays as it is", (t) => {
  const g = programs({ groups: 2 }).get("clean") as Graph;
  t.is(gather.run(g, target), g);
});

for (const phase of ["warmup", "proto", "clean"])
  test(`${phase}: everything small begins before the backward pass, and is awaited once, behind it`, (t) => {
    const g = optimize(distribute(programs({ groups: 2 }).get(phase) as Graph, 2, "load"), target);
    verify(g);
    const { plan } = lowerPrograms("ranks", [g], target, {}, emitter);
    const steps = plan.programs[0]?.steps ?? [];
    const kinds = steps.map((s) => s.do);
    const gathers = kinds.flatMap((k, i) => (k === "all_gather" ? [i] : []));
    const [keys = 0, begin = 0] = gathers;
    const end = gathers.at(-1) ?? 0;
    t.true(kinds.slice(keys, begin).includes("await"), "the keys are needed at once");
    t.is(end - begin, gathers.length - 2, "the others are neighbours");
    const backward = (n: Node): boolean => n.op === "conv_wgrad";
    t.true(g.nodes.findIndex(backward) > g.nodes.findLastIndex((n) => n.op === "all_gather"));
    t.is(kinds.slice(end).filter((k) => k === "await").length, 1);
    t.true(
      kinds.slice(end, kinds.indexOf("await", end)).filter((k) => k === "launch").length > 20,
      "and what is computed meanwhile does not wait",
    );
  });
