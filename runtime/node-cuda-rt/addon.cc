// The module: load(dir, options) makes an Artefact.
#include <napi.h>

#include "artefact.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* constructor = new Napi::FunctionReference(Napi::Persistent(moproc::Artefact::constructor(env)));
  env.SetInstanceData(constructor);
  exports.Set("load", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return info.Env().GetInstanceData<Napi::FunctionReference>()->New({info[0], info[1]});
              }));
  return exports;
}

}  // namespace

NODE_API_MODULE(node_cuda_rt, init)
