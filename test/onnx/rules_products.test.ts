// Rules of matrix products: values by their definition, and random ones beside ONNX Runtime.

import { NdArray } from "../../compiler/ir/nd.js";
import { einsums } from "../../compiler/onnx/operators/einsum.js";
import { products } from "../../compiler/onnx/operators/products.js";
import { agrees, noise, of } from "../support/agree.js";
import { agreesCompiled } from "../support/agree_compiled.js";
import { array, f32, one, some } from "../support/foreign.js";
import { check, coversAll, shaped, total, x23 } from "../support/rule_tests.js";

check("Gemm", "factors, transposes, the third operand in all forms", () => {
  const a = some([2, 3]);
  const b = some([3, 4]);
  const product = (ta: boolean, alpha: number, more: (i: number, j: number) => number): NdArray =>
    NdArray.fill([2, 4], (at) => {
      const [i, j] = [Math.floor(at / 4), at % 4];
      let sum = 0;
      for (let k = 0; k < 3; k++) sum += (ta ? (a.data[k * 2 + i] as number) : a.at(i, k)) * b.at(k, j);
      return alpha * sum + more(i, j);
    });
  const w = f32([3, 4], [...b.data]);
  const turned = f32([4, 3], [...NdArray.fill([4, 3], (i) => b.at(i % 3, Math.floor(i / 3))).data]);
  const c = [1, 2, 3, 4];
  const none = (): number => 0;
  return [
    [one("Gemm", 6, a, { broadcast: 1 }, [w, f32([4], c)]), product(false, 1, (_, j) => c[j] as number)],
    [
      one("Gemm", 9, a, { alpha: "0.5", beta: "2.0" }, [w, f32([2, 1], [1, 2])]),
      product(false, 0.5, (i) => 2 * (i + 1)),
    ],
    [one("Gemm", 13, shaped(a, [3, 2]), { transA: 1 }, [w]), product(true, 1, none)],
    [one("Gemm", 13, a, { transB: 1 }, [turned, f32([], [3])]), product(false, 1, () => 3)],
  ];
});
check("MatMul", "matrices, several by one, vectors", () => {
  const b = some([3, 2]);
  const times = (x: NdArray, shape: readonly number[]): NdArray =>
    NdArray.fill(shape, (at) =>
      total([0, 1, 2].map((k) => (x.data[Math.floor(at / 2) * 3 + k] as number) * b.at(k, at % 2))),
    );
  const w = f32([3, 2], [...b.data]);
  return [
    [one("MatMul", 9, x23, {}, [w]), times(x23, [2, 2])],
    [one("MatMul", 13, some([2, 2, 2, 3]), {}, [w]), times(some([2, 2, 2, 3]), [2, 2, 2, 2])],
    [one("MatMul", 13, some([3]), {}, [w]), times(some([3]), [2])],
    [one("MatMul", 13, x23, {}, [f32([3], [1, 2, 3])]), array([2], [-3, 11.5])],
  ];
});

agrees(
  "MatMul",
  "leading axes that broadcast, vectors, other types",
  [
    { opset: 13, inputs: [noise("f32", [2, 1, 3, 4], 1), noise("f32", [3, 4, 2], 2)] },
    { opset: 13, inputs: [noise("f32", [4], 3), noise("f32", [3, 4, 2], 4)] },
    { opset: 13, inputs: [noise("f32", [5, 3, 4], 5), noise("f32", [4], 6)] },
    { opset: 13, inputs: [noise("f32", [4], 7), noise("f32", [4], 8)] },
    { opset: 13, inputs: [noise("f64", [2, 3, 4], 9), noise("f64", [2, 4, 2], 10)] },
    { opset: 13, inputs: [noise("i32", [2, 3, 4], 11, -99, 99), noise("i32", [4, 2], 12, -99, 99)] },
    { opset: 13, inputs: [noise("i64", [3, 4], 13, -99, 99), noise("i64", [4, 2], 14, -99, 99)] },
  ],
  [0, 1],
);
agrees(
  "Gemm",
  "transposed operands, factors, f64 and f16",
  [
    {
      opset: 13,
      inputs: [noise("f64", [4, 3], 15), noise("f64", [5, 4], 16), noise("f64", [5], 17)],
      attrs: { transA: 1, transB: 1, alpha: "0.5", beta: "0.25" },
    },
    {
      opset: 13,
      inputs: [noise("f32", [3, 4], 18), noise("f32", [4, 5], 19), noise("f32", [3, 1], 20)],
      attrs: { beta: "2.0" },
    },
  ],
  [0, 1, 2],
);
agrees(
  "Einsum",
  "sums, products, diagonals, permutations, ellipses, implicit results",
  [
    ...(
      [
        ["ij,jk->ik", [2, 3], [3, 4]],
        ["ij,jk", [2, 3], [3, 4]],
        ["bij, bjk -> bik", [2, 2, 3], [2, 3, 4]],
        ["...ij,...jk->...ik", [5, 1, 2, 3], [1, 4, 3, 2]],
        ["...i,...i", [2, 3, 4], [2, 3, 4]],
        ["i,j->ij", [3], [4]],
        ["i,i", [3], [3]],
        ["ij->ji", [2, 3]],
        ["ba", [2, 3]],
        ["ii->i", [3, 3]],
        ["ii", [3, 3]],
        ["ijj->ji", [2, 3, 3]],
        ["ij->", [2, 3]],
        ["...ij->...", [2, 2, 3]],
        ["bhwc,hkc->bhwk", [2, 3, 2, 4], [3, 5, 4]],
        ["ij,k->ik", [2, 3], [4]],
        ["ij,jk,kl->il", [2, 3], [3, 4], [4, 2]],
        ["i...,j->...ij", [2, 3], [4]],
      ] as const
    ).map(([equation, ...shapes], i) => ({
      opset: 12,
      inputs: (shapes as readonly (readonly number[])[]).map((shape, k) => noise("f32", shape, 30 + 3 * i + k)),
      attrs: { equation },
    })),
    {
      opset: 12,
      inputs: [noise("i64", [2, 3], 90, -9, 9), noise("i64", [3, 2], 91, -9, 9)],
      attrs: { equation: "ij,jk->ik" },
    },
    { opset: 12, inputs: [noise("f64", [2, 3], 92), noise("f64", [3, 2], 93)], attrs: { equation: "ij,ji->" } },
  ],
  [0, 1, 2],
);
agrees(
  "Det",
  "one matrix and several, of odd sizes, pivots of 0, singular ones",
  [
    { opset: 11, inputs: [noise("f32", [5, 5], 94)] },
    { opset: 11, inputs: [noise("f32", [2, 3, 4, 4], 95)] },
    { opset: 11, inputs: [noise("f32", [3, 1, 1], 96)] },
    { opset: 11, inputs: [of("f32", [1, 3, 3], [0, 2, 1, 1, 0, 0, 3, 1, 4])] },
  ],
  [0],
);
agrees("Det", "a singular matrix", [{ opset: 11, inputs: [of("f32", [3, 3], [1, 2, 3, 2, 4, 6, 1, 1, 1])] }]);
agreesCompiled("rules_products");
coversAll({ ...products, ...einsums });
