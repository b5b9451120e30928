// The JavaScript object behind load(): a library, a session, and at most one run at a time.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "core/program_library.h"
#include "session/session.h"

namespace moproc {

class Artefact : public Napi::ObjectWrap<Artefact> {
 public:
  static Napi::Function constructor(Napi::Env env);
  /// (dir, { threads, gpu, check }); throws a JavaScript Error if the artefact cannot be loaded.
  explicit Artefact(const Napi::CallbackInfo& info);

 private:
  friend class RunWorker;

  Napi::Value programs(const Napi::CallbackInfo& info);
  Napi::Value state(const Napi::CallbackInfo& info);
  Napi::Value meta(const Napi::CallbackInfo& info);
  Napi::Value text(const Napi::CallbackInfo& info);
  Napi::Value init_state(const Napi::CallbackInfo& info);
  Napi::Value get(const Napi::CallbackInfo& info);
  Napi::Value set(const Napi::CallbackInfo& info);
  Napi::Value save(const Napi::CallbackInfo& info);
  Napi::Value load_state(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);

  int state_tensor(const Napi::CallbackInfo& info) const;
  void require_idle(Napi::Env env) const;

  std::unique_ptr<ProgramLibrary> library_;
  std::unique_ptr<Session> session_;
  std::string dir_;
  bool running_ = false;
};

}  // namespace moproc
