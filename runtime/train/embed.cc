// The loader leaves out unreadable images and does not fill their places, so batch i always consists of the images
// [i * batch, (i + 1) * batch).
#include "train/embed.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/layout.h"
#include "data/loader.h"

namespace moproc::train {
namespace {

struct Program {
  int program, img, temperature, feature, logits, proto;  // -1, except in the first two, if there is none

  explicit Program(const Session& s)
      : program(s.program("embed")),
        img(s.input(program, "img")),
        temperature(s.find_input(program, "hyper.temperature")),
        feature(s.find_output(program, "feature")),
        logits(s.find_output(program, "logits")),
        proto(s.find_output(program, "proto_logits")) {
    const TensorInfo& t = s.info(img);
    if (t.dtype != DType::u8 || t.rank != 4 || t.shape[1] != 3 || t.shape[2] != t.shape[3])
      throw InputError(std::string("program embed: img is ") + show_type(t) + ", not u8[N,3,S,S]");
  }
};

const float* rows_of(const Session& s, int tensor) { return tensor < 0 ? nullptr : s.view<float>(tensor).data(); }

struct Started {
  int64_t first, end;
  std::vector<int64_t> sample;
};

}  // namespace

int64_t embed_batch(const Session& session) { return session.info(Program(session).img).shape[0]; }

int64_t embed_features(const Session& session) {
  const int feature = Program(session).feature;
  return feature < 0 ? 0 : session.info(feature).shape[1];
}

void embed(Session& session, const data::Dataset& list, const EmbedOptions& options,
           const std::function<bool(const Embedded&)>& sink) {
  const Program program(session);
  const TensorInfo& img = session.info(program.img);
  data::LoaderOptions o;
  o.mode = data::Mode::evaluation;
  o.batch = static_cast<int>(img.shape[0]);
  o.threads = options.workers;
  o.strong = false;
  o.on_broken = options.on_broken;
  o.start_batch = static_cast<uint64_t>(options.first / o.batch);
  o.augment.size = static_cast<int>(img.shape[2]);
  data::Loader loader(list, o);
  std::deque<Started> started;
  const auto finish = [&] {
    session.wait();
    const Started s = std::move(started.front());
    started.pop_front();
    return sink({s.first, s.end, static_cast<int64_t>(s.sample.size()), s.sample.data(),
                 rows_of(session, program.feature), rows_of(session, program.logits), rows_of(session, program.proto)});
  };
  bool go_on = true;
  while (const data::Batch* batch = go_on ? loader.next() : nullptr) {
    if (static_cast<int>(started.size()) == session.slots()) go_on = finish();
    const int64_t first = static_cast<int64_t>(batch->index) * o.batch;
    const int64_t end = std::min(first + o.batch, static_cast<int64_t>(list.size()));
    std::memcpy(session.data(program.img), batch->img, static_cast<size_t>(img.bytes));
    if (program.temperature >= 0) session.view<float>(program.temperature)[0] = static_cast<float>(options.temperature);
    started.push_back({first, end, {batch->sample, batch->sample + batch->count}});
    loader.release();
    session.start(program.program);
  }
  while (!started.empty())
    if (!finish()) go_on = false;
}

}  // namespace moproc::train
