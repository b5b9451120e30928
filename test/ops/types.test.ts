// The element types of operands: what the table of docs/api.md lists is what the builder and the check of a whole graph
// accept. Every op is called with each element type for each operand, and for each attribute that names a type.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Builder } from "../../compiler/ir/builder.js";
import { any, f32 } from "../../compiler/ir/element_types.js";
import type { Attrs, DType, Node, TensorType, Value } from "../../compiler/ir/types.js";
import { verify } from "../../compiler/ir/verify.js";
import * as op from "../../compiler/ops/index.js";
import { type AnyOp, allOps, type OpSpec } from "../../compiler/ops/op.js";
import { operandNameOf } from "../../compiler/ops/rows.js";
import { root } from "../../compiler/util/root.js";
import { BEGIN, END } from "../../tools/docs/op_table.js";
import { opCases } from "../support/cases.js";

const page = readFileSync(join(root, "docs", "api.md"), "utf8");
const [head, , ...rows] = page
  .slice(page.indexOf(BEGIN) + BEGIN.length, page.indexOf(END))
  .trim()
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()));
const cellOf = (o: AnyOp): string =>
  rows.find((r) => r[1] === `\`${o.name}\``)?.[head?.indexOf("element types") ?? 0] ?? "";

const SAME = ", all the same";
const SOME = /; `\w+` and `\w+` the same$/;
const integers: readonly DType[] = ["i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8"];
const all: readonly DType[] = ["f32", "bf16", "f16", "f64", ...integers, "bool"];
/** The words of the page, as the text above the table explains them. */
const words: Readonly<Record<string, readonly DType[]>> = {
  float: ["f32", "bf16", "f16", "f64"],
  integer: integers,
  any: all,
};

/** The types that the page lists for an operand or an attribute of an op; undefined if it does not have the name. */
function listed(o: AnyOp, name: string): readonly DType[] | undefined {
  const cell = cellOf(o).replace(SAME, "").replace(SOME, "");
  const part = cell.split("; ").find((p) => p.includes(`\`${name}\``)) ?? (cell.includes("`") ? undefined : cell);
  return part
    ?.replace(/.*: /, "")
    .split(/, | or /)
    .flatMap((word) => words[word] ?? [word as DType]);
}

/** A valid node of each op. No case has a collective, because its value depends on other ranks. */
const nodes = new Map<string, Node>();
const ranks = Builder.create("ranks");
const x = ranks.input("x", { dtype: "f32", shape: [4, 3] });
op.all_reduce(ranks, x);
op.all_gather(ranks, x, { ranks: 2 });
op.own_rows(ranks, x, { ranks: 2 });
for (const n of [...ranks.nodes, ...opCases.flatMap((c) => c.graph.nodes)]) nodes.set(n.op, n);

const unary = nodes.get(op.relu.name) as Node;
const typesOf = (n: Node): readonly TensorType[] => n.inputs.map((v) => v.type);

/** The messages of the builder and of verify() about the op of `n` with these operands and attributes; "": none. */
function messages(n: Node, types: readonly TensorType[], attrs: Attrs): readonly [string, string] {
  const message = (f: () => void): string => {
    try {
      f();
    } catch (e) {
      return (e as Error).message;
    }
    return "";
  };
  const b = Builder.create("types");
  const inputs = types.map((type, i) => b.input(`x${i}`, type));
  let outputs: readonly Value[] | undefined;
  const built = message(() => {
    outputs = b.emit(n.op, inputs, attrs);
  });
  if (!outputs) b.keep({ ...n, inputs, attrs });
  return [built, message(() => verify(b.finish(outputs ?? n.outputs)))];
}

/** An operand of a node, or an attribute that names a type. */
interface Place {
  readonly name: string; // in the table
  readonly shown: string; // in messages
  /** The messages about the node with the type `dtype` in this place. */
  messages(dtype: DType): readonly [string, string];
}

function placesOf(o: AnyOp, n: Node): Place[] {
  const inputs: readonly string[] = o.inputs;
  const operands = n.inputs.map((_, i): Place => {
    const name = operandNameOf(n, i);
    const rest = inputs.at(-1) === `...${name}`;
    return {
      name,
      shown: rest ? `${name}[${i - inputs.length + 1}]` : name,
      messages: (dtype) => messages(n, typesOf(n).with(i, { ...(typesOf(n)[i] as TensorType), dtype }), n.attrs),
    };
  });
  const attrs = ((o.attrs ?? []) as readonly string[])
    .map((a) => a.replace("?", ""))
    .filter((name) => !inputs.includes(name) && cellOf(o).includes(`\`${name}\``))
    .map((name): Place => {
      return { name, shown: name, messages: (dtype) => messages(n, typesOf(n), { ...n.attrs, [name]: dtype }) };
    });
  return [...operands, ...attrs];
}

/** "...: idx must be i64, not f32" */
const refusal = (shown: string, dtype: DType): RegExp =>
  new RegExp(`: ${shown.replace(/[[\]]/g, "\\$&")} must be .*, not ${dtype}$`);

/** Whether an operand must have the type of another one. */
const coupled = (o: AnyOp, name: string): boolean =>
  cellOf(o).endsWith(SAME) || SOME.exec(cellOf(o))?.[0].includes(`\`${name}\``) === true;

// what `map` takes depends on its expression
for (const o of allOps().filter((a) => a.name !== op.map.name)) {
  test(`element types of ${o.name}`, (t) => {
    const n = nodes.get(o.name) as Node;
    const places = placesOf(o, n);
    t.true(places.length > 0);
    for (const p of places) {
      const types = listed(o, p.name);
      t.truthy(types, `the table has no types of ${p.name}`);
      for (const dtype of all)
        for (const message of p.messages(dtype))
          if (!types?.includes(dtype)) t.regex(message, refusal(p.shown, dtype), `${p.shown}: ${dtype} is accepted`);
          else if (coupled(o, p.name) && n.inputs.length > 1 && dtype !== n.inputs[0]?.type.dtype)
            t.regex(message, /: dtypes differ: /, `only ${p.shown} is ${dtype}`);
          else t.is(message, "", `${p.shown}: ${dtype}`);
    }
    if (cellOf(o).endsWith(SAME))
      for (const dtype of listed(o, operandNameOf(n, 0)) ?? []) {
        const types = typesOf(n).map((type) => ({ ...type, dtype }));
        t.deepEqual(messages(n, types, n.attrs), ["", ""], `all ${dtype}`);
      }
  });
}

test("element types of map: those of the functions in its expression", (t) => {
  const b = Builder.create("map");
  for (const dtype of all) {
    const x = b.input(`x_${dtype}`, { dtype, shape: [2] });
    t.is(op.map(b, [x], { expr: "x0" }).type.dtype, dtype);
    t.is(op.map(b, [x, x], { expr: "equal(x0,x1)" }).type.dtype, "bool");
    for (const to of all) t.is(op.map(b, [x], { expr: `to_${to}(x0)` }).type.dtype, to);
    const takes = (expr: string): boolean => messages({ ...unary, op: "map" }, [x.type], { expr })[0] === "";
    t.is(takes("sin(x0)"), words.float?.includes(dtype) === true, dtype);
    t.is(takes("bit_not(x0)"), integers.includes(dtype), dtype);
    t.is(takes("not(x0)"), dtype === "bool", dtype);
    t.is(takes("neg(x0)"), dtype !== "bool", dtype);
  }
  const [f, i] = (["f32", "i64"] as const).map((dtype) => b.input(dtype, { dtype, shape: [2] })) as [Value, Value];
  t.throws(() => op.map(b, [f, i], { expr: "add(x0,x1)" }), { message: /add of f32 and i64$/ });
  t.throws(() => op.map(b, [f], { expr: "add(x0" }), { message: /a bracket is not closed/ });
  t.throws(() => op.map(b, [f], { expr: "gelu(x0)" }), { message: /there is no function gelu/ });
  t.throws(() => op.map(b, [f], { expr: "add(x0,x1)" }), { message: /there is no operand x1/ });
  t.throws(() => op.map(b, [], { expr: "3" }), { message: /3 has no element type/ });
});

test("the page lists all element types, and a refusal says what is accepted", (t) => {
  t.deepEqual(any, all);
  const [message] = messages(nodes.get(op.relu.name) as Node, [{ dtype: "u8", shape: [2] }], {});
  t.is(message, "relu(x0: u8[2]) in <top>: x must be floating point (f32, bf16, f16 or f64), not u8");
});

test("a record without the types of an operand, or with those of another name, is no record", (t) => {
  type Types = OpSpec<readonly ["x", "...xs"], readonly ["y"], { to?: DType; size: number }>["types"];
  const types: Types = { x: f32, xs: f32, to: any };
  // @ts-expect-error: xs is missing
  const missing: Types = { x: f32, to: any };
  // @ts-expect-error: to is missing
  const attribute: Types = { x: f32, xs: f32 };
  // @ts-expect-error: size names no type
  const foreign: Types = { x: f32, xs: f32, to: any, size: any };
  t.deepEqual(
    [types, missing, attribute, foreign].map((o) => Object.keys(o).length),
    [3, 2, 2, 4],
  );
});
