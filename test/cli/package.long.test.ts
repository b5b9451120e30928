// An installed package builds its native part when it is first needed, once if two commands need it at the same time,
// also with a compiler command of two words and in a read-only folder.

import test from "ava";
import { Installed } from "../support/installed.js";

const user = new Installed("package_built");
test.after.always(() => user.remove());

test.serial("two commands at once: one builds, the other waits", async (t) => {
  user.makeReadOnly();
  const both = await Promise.all([user.started("train", "--help"), user.started("data", "sample", "--help")]);
  for (const r of both) t.is(r.status, 0, r.err);
  t.is(both.filter((r) => r.err.includes("built moproc's native part in")).length, 1);
  t.is(both.filter((r) => r.err.includes("waiting for process")).length, 1);
  user.copyExamples();
  user.done("compile", "examples/mlp.ts", "-o", "mlp");
  const r = user.node("examples/drive.mjs", "mlp");
  t.is(r.status, 0, r.err);
});

test.serial("a native part that cannot be built says why, and leaves nothing", (t) => {
  const r = user.moprocWith({ CXX: "g++ -m64 --no-such-flag" }, "data", "sample", "--help");
  t.is(r.status, 1);
  t.regex(
    r.err,
    /moproc data sample: moproc's native part cannot be built: install g\+\+ .*correct CXX: `g\+\+ -m64 --no/,
  );
  t.is(user.moprocWith({ CXX: "g++ -m64" }, "data", "sample", "--help").status, 0);
});
