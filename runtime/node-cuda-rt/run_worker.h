// One run of a program on a libuv thread, with progress on the main one.
#pragma once

#include <napi.h>

#include "artefact.h"
#include "tensors.h"

namespace moproc {

class RunWorker : public Napi::AsyncProgressQueueWorker<int32_t> {
 public:
  /// Starts the run; the inputs must be set already. When it ends, settles `deferred` and marks the artefact idle.
  static void start(Artefact& artefact, int program, Napi::Promise::Deferred deferred, const Napi::Value& options) {
    auto* w = new RunWorker(artefact, program, deferred);
    if (options.IsObject()) {
      const Napi::Value f = options.As<Napi::Object>().Get("onProgress");
      if (f.IsFunction()) w->on_progress_ = Napi::Persistent(f.As<Napi::Function>());
    }
    w->report_ = !w->on_progress_.IsEmpty();
    artefact.running_ = true;
    artefact.Ref();  // keeps the artefact until the run has ended
    w->Queue();
  }

  void Execute(const ExecutionProgress& progress) override {
    Session& s = *artefact_.session_;
    if (!report_) return s.run(program_);
    s.run(program_, [&](int done) {
      const int32_t n = done;
      progress.Send(&n, 1);
    });
  }

  void OnProgress(const int32_t* done, size_t count) override {
    if (count == 0 || on_progress_.IsEmpty()) return;
    Napi::HandleScope scope(Env());
    const int total = artefact_.library_->plan().programs[program_].steps.size;
    on_progress_.Call({Napi::Number::New(Env(), done[count - 1]), Napi::Number::New(Env(), total)});
  }

  void OnOK() override {
    Napi::Object outputs = Napi::Object::New(Env());
    for (const int32_t t : artefact_.library_->plan().programs[program_].outputs) {
      const TensorInfo& tensor = artefact_.session_->info(t);
      const auto fill = [&](std::span<std::byte> bytes) { artefact_.session_->get(t, bytes); };
      outputs.Set(short_name(tensor), typed_array(Env(), tensor, fill));
    }
    finish();
    deferred_.Resolve(outputs);
  }

  void OnError(const Napi::Error& e) override {
    finish();
    deferred_.Reject(e.Value());
  }

 private:
  RunWorker(Artefact& artefact, int program, Napi::Promise::Deferred deferred)
      : Napi::AsyncProgressQueueWorker<int32_t>(deferred.Env()),
        artefact_(artefact),
        program_(program),
        deferred_(deferred) {}

  void finish() {
    artefact_.running_ = false;
    artefact_.Unref();
  }

  Artefact& artefact_;
  int program_;
  Napi::Promise::Deferred deferred_;
  Napi::FunctionReference on_progress_;
  bool report_ = false;
};

}  // namespace moproc
