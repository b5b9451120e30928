// Bad foreign models: names that are undefined or double, calls and control flow without an end.

import { f32, i64, node } from "./foreign.js";
import {
  base,
  branch,
  call,
  chain,
  empty,
  graph,
  type Hostile,
  long,
  loop,
  loops,
  model,
  nested,
  of,
  open,
  own,
  scalar,
  withGraphs,
  yes,
} from "./hostile_parts.js";

/** Names: cycles, undefined and double names. */
export const names: Readonly<Record<string, Hostile>> = {
  "a cycle": of(
    () => model([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["y"])]),
    /node of a .*its input b is made by a later node/,
  ),
  "a node that needs itself": of(() => model([node("Add", ["x", "y"], ["y"])]), /node of y .*its input y is made by/),
  "an undefined name": of(() => model([node("Relu", ["z"], ["y"])]), /node of y .*nothing makes its input z/),
  "an undefined output": of(() => model([node("Relu", ["x"], ["z"])]), /nothing makes the output y/),
  "two nodes of one result": of(
    () => model([node("Relu", ["x"], ["y"]), node("Abs", ["x"], ["y"])]),
    /operator Abs .*its output y is defined twice/,
  ),
  "a node of an input's name": of(() => model([node("Relu", ["x"], ["x"])]), /its output x is defined twice/),
  "an initializer twice": of(() => {
    const m = model([node("Relu", ["x"], ["y"])], { k: scalar(1) });
    return { ...m, graph: { ...m.graph, initializers: [...m.graph.initializers, ...m.graph.initializers] } };
  }, /initializer k is defined twice/),
  "an input twice": of(
    () => ({ ...base, graph: { ...base.graph, inputs: [...base.graph.inputs, ...base.graph.inputs] } }),
    /input x is defined twice/,
  ),
  "an output twice": of(
    () => ({ ...base, graph: { ...base.graph, outputs: [...base.graph.outputs, ...base.graph.outputs] } }),
    /output y is listed twice/,
  ),
  "no outputs": of(() => ({ ...base, graph: { ...base.graph, outputs: [] } }), /the model has no outputs/),
  "a node without outputs": of(() => model([node("Relu", ["x"], [""])]), /has no outputs/),
  "an undefined name in a branch": of(
    () => branch(graph([node("Relu", ["z"], ["t"])], ["t"])),
    /node of t .*nothing makes its input z/,
  ),
  "a name in a branch before its definition, which is also a name around the branch": of(
    () => branch(graph([node("Relu", ["c"], ["t"]), node("Relu", ["x"], ["c"])], ["t"])),
    /node of t .*its input c is made by a later node/,
  ),
  "a name in a branch before its definition": of(
    () => branch(graph([node("Relu", ["u"], ["t"]), node("Relu", ["x"], ["u"])], ["t"])),
    /node of t .*its input u is made by a later node/,
  ),
  "a cycle in a branch": of(
    () => branch(graph([node("Relu", ["u"], ["t"]), node("Relu", ["t"], ["u"])], ["t"])),
    /node of t .*its input u is made by a later node/,
  ),
  "two nodes of one result in a branch": of(
    () => branch(graph([node("Relu", ["x"], ["t"]), node("Abs", ["x"], ["t"])], ["t"])),
    /operator Abs .*its output t is defined twice/,
  ),
  "an undefined output of a branch": of(
    () => branch(graph([node("Relu", ["x"], ["t"])], ["u"])),
    /operator If .*nothing makes the output u/,
  ),
  "a name of one branch in the other": of(
    () =>
      model(
        [
          withGraphs(node("If", ["c"], ["y"]), {
            then_branch: graph([node("Relu", ["x"], ["t"])], ["t"]),
            else_branch: graph([node("Relu", ["t"], ["e"])], ["e"]),
          }),
        ],
        { c: yes },
      ),
    /node of e .*nothing makes its input t/,
  ),
  "a name of a branch outside": of(() => {
    const m = branch(graph([node("Relu", ["x"], ["t"])], ["t"]));
    return { ...m, graph: { ...m.graph, nodes: [...m.graph.nodes, node("Relu", ["t"], ["z"])] } };
  }, /node of z .*nothing makes its input t/),
  "two nodes of one result in a loop": of(
    () =>
      model([loop("n", graph([node("Relu", ["s"], ["t"]), node("Abs", ["s"], ["t"])], ["go", "t"]), "x", "y")], {
        n: scalar(2),
      }),
    /operator Abs .*its output t is defined twice/,
  ),
  "an undefined name in a branch in a loop": of(
    () =>
      model(
        [
          loop(
            "n",
            graph(
              [
                withGraphs(node("If", ["go"], ["t"]), {
                  then_branch: graph([node("Relu", ["nowhere"], ["u"])], ["u"]),
                  else_branch: graph([node("Relu", ["s"], ["v"])], ["v"]),
                }),
              ],
              ["go", "t"],
            ),
            "x",
            "y",
          ),
        ],
        { n: scalar(2) },
      ),
    /node of u .*nothing makes its input nowhere/,
  ),
  "two outputs of one name in a scan": of(
    () =>
      model([
        withGraphs(node("Scan", ["x", "x"], ["y"], { num_scan_inputs: 1 }), {
          body: graph([node("Split", ["a"], ["t", "t"])], ["t"], {}, ["a", "b"]),
        }),
      ]),
    /operator Split .*its output t is defined twice/,
  ),
  "an undefined name in a function": of(
    () => model([call("F", "x", "y")], {}, [own("F", [node("Add", ["p", "x"], ["q"])])]),
    /function own::F: node of q .*nothing makes its input x/,
  ),
  "a name in a function before its definition": of(
    () => model([call("F", "x", "y")], {}, [own("F", [node("Relu", ["r"], ["q"]), node("Relu", ["p"], ["r"])])]),
    /function own::F: node of q .*its input r is made by a later node/,
  ),
  "two nodes of one result in a function": of(
    () => model([call("F", "x", "y")], {}, [own("F", [node("Relu", ["p"], ["q"]), node("Abs", ["p"], ["q"])])]),
    /function own::F: .*operator Abs .*its output q is defined twice/,
  ),
  "an undefined output of a function": of(
    () => model([call("F", "x", "y")], {}, [own("F", [node("Relu", ["p"], ["r"])])]),
    /function own::F: nothing makes the output q/,
  ),
  "an input of a function twice": of(
    () => model([call("F", "x", "y")], {}, [own("F", [node("Relu", ["p"], ["q"])], ["p", "p"])]),
    /function own::F: input p is defined twice/,
  ),
  "a name of a terminal": of(
    () => model([{ ...node("Relu", ["z"], ["y"]), name: "a\u001b[2J\nb\u009b" }]),
    /node a\\u001b\[2J\\nb\\u009b \(operator Relu.*nothing makes its input z/,
  ),
  "an undefined name of a terminal": of(() => model([node("Relu", ["\u001b]0;z"], ["y"])]), /its input \\u001b\]0;z/),
  "an operator of a terminal": of(() => model([node("Re\u001blu", ["x"], ["y"])]), /not supported.*Re\\u001blu/),
  "a name of 1 MB": of(() => model([{ ...node("Relu", ["z"], ["y"]), name: long }]), /node n+\.\.\. .*its input z/),
  "an undefined name of 1 MB": of(() => model([node("Relu", [long], ["y"])]), /nothing makes its input n+\.\.\./),
  "an initializer of 1 MB of name": of(
    () => model([node("Relu", ["x"], ["y"])], { [long]: { ...f32([1], [1]), dims: [2] } }),
    /initializer n+\.\.\.: f32\[2\] takes 8 bytes, there are 4/,
  ),
};

/** Functions and control flow. */
export const calls: Readonly<Record<string, Hostile>> = {
  "a transposed convolution with one padding for two axes": of(() => {
    const attrs = { output_padding: [1] };
    const m = model([node("ConvTranspose", ["x", "w"], ["y"], attrs)], { w: f32([1, 1, 1, 1], [1]) });
    return { ...m, graph: { ...m.graph, inputs: [{ name: "x", type: "f32", shape: [1, 1, 2, 2] }] } };
  }, /operator ConvTranspose .*output_padding \[1\] or output_shape \[\] are not for 2 axes of pixels/),
  "a gradient by a value that is not its input": of(() => {
    const attrs = { xs: ["x", "z"], y: "a" };
    const domain = "ai.onnx.preview.training";
    const m = model([node("Relu", ["x"], ["a"]), node("Gradient", ["x"], ["y"], attrs, domain)]);
    return { ...m, opsets: new Map([...m.opsets, [domain, 1]]) };
  }, /operator Gradient .*its input 1 is missing, not z itself/),
  "more gradients than values by which they are": of(() => {
    const domain = "ai.onnx.preview.training";
    const n = node("Gradient", ["x"], ["g", "y"], { xs: ["x"], y: "a" }, domain);
    const m = model([node("Relu", ["x"], ["a"]), n]);
    return { ...m, opsets: new Map([...m.opsets, [domain, 1]]) };
  }, /operator Gradient .*it has more outputs than xs, \[x\]/),
  "an If without a condition": of(() => {
    const m = branch(graph([node("Relu", ["x"], ["t"])], ["t"]));
    return { ...m, graph: { ...m.graph, nodes: m.graph.nodes.map((n) => ({ ...n, inputs: [] })) } };
  }, /operator If .*its condition is missing/),
  "a function that calls itself": of(
    () => model([call("F", "x", "y")], {}, [own("F", [call("F", "p", "q")])]),
    /function own::F calls itself, through own::F, own::F/,
  ),
  "functions that call each other": of(
    () => model([call("F", "x", "y")], {}, [own("F", [call("G", "p", "q")]), own("G", [call("F", "p", "q")])]),
    /function own::F calls itself, through own::F, own::G, own::F/,
  ),
  "a function that calls itself in a branch": of(
    () =>
      model([call("F", "x", "y")], {}, [
        own("F", [
          node("Constant", [], ["c"], { value: yes }),
          withGraphs(node("If", ["c"], ["q"]), {
            then_branch: graph([call("F", "p", "t")], ["t"]),
            else_branch: graph([call("F", "p", "e")], ["e"]),
          }),
        ]),
      ]),
    /function own::F calls itself/,
  ),
  "100,000 functions in a chain": of(
    () => model([call("F0", "x", "y")], {}, chain(1e5, 1)),
    /function own::F0: its calls .*deep/,
  ),
  "100,000 functions in a circle": of(
    () => model([call("F0", "x", "y")], {}, [...chain(1e5, 1).slice(0, -1), own("F99999", [call("F0", "p", "q")])]),
    /function own::F0: its calls .*deep, or endless/,
  ),
  "30 functions that call the next one twice": of(
    () => model([call("F0", "x", "y")], {}, chain(30, 2)),
    /written out, the model has more than 1000000 nodes/,
  ),
  "two functions of one name": of(
    () =>
      model([call("F", "x", "y")], {}, [own("F", [node("Relu", ["p"], ["q"])]), own("F", [node("Abs", ["p"], ["q"])])]),
    /function own::F is there twice/,
  ),
  "a call with too many inputs": of(
    () => model([node("F", ["x", "x"], ["y"], {}, "own")], {}, [own("F", [node("Relu", ["p"], ["q"])])]),
    /node of y .*its function has 1 inputs/,
  ),
  "a call of a function that is not there": of(() => model([call("F", "x", "y")]), /not supported.*own::F/),
  "a loop of 2^40 iterations": of(
    () => model([loop("n", empty, "x", "y")], { n: scalar(2 ** 40) }),
    /operator Loop .*it has more than 10000 iterations/,
  ),
  "a loop of 2^40 iterations, of which the first would be refused": of(
    // so it is refused before the first
    () => model([loop("n", graph([node("MatMul", ["s", "s"], ["t"])], ["go", "t"]), "x", "y")], { n: scalar(2 ** 40) }),
    /^(?!.*MatMul).*it has more than 10000 iterations/s,
  ),
  "a loop without an end": of(() => model([loop("", empty, "x", "y")]), /it has more than 10000 iterations/),
  "a loop of 2^40 iterations whose condition may change": of(
    () => model([loop("n", open, "x", "y")], { n: scalar(2 ** 40) }),
    /it has more than 10000 iterations/,
  ),
  "loops in loops": of(() => loops(2, 10000), /written out, the model has more than 1000000 nodes/),
  "loops in loops in loops": of(() => loops(5, 10000), /written out, the model has more than 1000000 nodes/),
  "a loop whose number is no number": of(
    () => model([loop("n", empty, "x", "y")], { n: f32([], [Number.NaN]) }),
    /operator Loop .*its number of iterations .*NaN/,
  ),
  "a loop whose number is a list": of(
    () => model([loop("n", empty, "x", "y")], { n: i64([1, 2]) }),
    /its number of iterations is \[2\], not one number/,
  ),
  "a branch that is no graph": of(
    () => model([node("If", ["c"], ["y"], { then_branch: 1, else_branch: 1 })], { c: yes }),
    /operator If .*attribute then_branch is int, not a graph/,
  ),
  "a scan of an axis that is not there": of(
    () =>
      model([
        withGraphs(node("Scan", ["x"], ["y"], { num_scan_inputs: 1, scan_input_axes: [7] }), {
          body: graph([node("Relu", ["a"], ["t"])], ["t"], {}, ["a"]),
        }),
      ]),
    /operator Scan .*there is no axis 7/,
  ),
  "graphs in graphs": of(() => branch(nested(12, empty)), /nested too deeply/),
};
