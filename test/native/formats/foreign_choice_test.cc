// Checkpoints of other programs: which weights are taken, which momentum belongs to them, what is assumed, and what is
// left out because it cannot be used.
#include "core/error.h"
#include "foreign.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using namespace moproc::test::foreign;

namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

}  // namespace

TEST("foreign: a tensor with two names is converted once") {
  const std::string zero(1, '\0');
  const std::string one = zeros("DoubleStorage", "0", {2}, 2) + "q" + zero;
  const std::string root = "}(" + text("conv1.weight") + one + text("layer1.0.x") + "h" + zero + text("layer1.0.y") +
                           zeros("DoubleStorage", "0", {2, 1}, 2) + "u";
  const Checkpoint c = read(zip_of({{"a/data.pkl", proto2 + root + "."}, {"a/data/0", little(1.5) + little(-2.0)}}));
  REQUIRE(c.tensors.size() == 3);
  CHECK(c.tensors[0].tensor.storage.data() == c.tensors[1].tensor.storage.data());
  CHECK(c.tensors[0].tensor.storage.data() != c.tensors[2].tensor.storage.data());
  for (const NamedTensor& t : c.tensors) CHECK_EQ(load<float>(t.tensor.storage, 4), -2.0f);
  CHECK(has(joined(c.said()), "3 tensors are f64 and become f32"));
}
