// Here every C++ exception becomes a JavaScript one; no code below this file knows about JavaScript.
#include "artefact.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/layout.h"
#include "run_worker.h"
#include "session/state_file.h"
#include "tensors.h"

namespace moproc {
namespace {

/// Runs f and rethrows its exceptions as JavaScript Errors.
template <class F>
auto guarded(Napi::Env env, F f) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Napi::Error::New(env, "out of memory");
  } catch (const std::exception& e) {
    throw Napi::Error::New(env, e.what());
  }
}

Napi::Array describe(Napi::Env env, const Plan& plan, const Span<int32_t>& tensors) {
  Napi::Array list = Napi::Array::New(env, tensors.size);
  for (int i = 0; i < tensors.size; ++i) list.Set(i, describe_tensor(env, plan.tensors[tensors[i]]));
  return list;
}

}  // namespace

Napi::Function Artefact::constructor(Napi::Env env) {
  return DefineClass(env, "Artefact",
                     {InstanceAccessor<&Artefact::programs>("programs"), InstanceAccessor<&Artefact::state>("state"),
                      InstanceAccessor<&Artefact::meta>("meta"),
                      InstanceAccessor("dir", &Artefact::text, nullptr, napi_enumerable, const_cast<char*>("dir")),
                      InstanceAccessor("name", &Artefact::text, nullptr, napi_enumerable, const_cast<char*>("name")),
                      InstanceAccessor("arch", &Artefact::text, nullptr, napi_enumerable, const_cast<char*>("arch")),
                      InstanceMethod<&Artefact::init_state>("initState"), InstanceMethod<&Artefact::get>("get"),
                      InstanceMethod<&Artefact::set>("set"), InstanceMethod<&Artefact::save>("save"),
                      InstanceMethod<&Artefact::load_state>("load_state"), InstanceMethod<&Artefact::run>("run")});
}

Artefact::Artefact(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Artefact>(info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "load: the artefact directory must be a string");
  dir_ = info[0].As<Napi::String>();
  SessionOptions options;
  if (info[1].IsObject()) {
    const Napi::Object o = info[1].As<Napi::Object>();
    if (const Napi::Value threads = o.Get("threads"); threads.IsNumber()) {
      options.threads = threads.As<Napi::Number>().Int32Value();
      if (options.threads < 1) throw Napi::RangeError::New(env, "load: threads must be at least 1");
    }
    if (const Napi::Value gpu = o.Get("gpu"); gpu.IsNumber()) options.gpu = gpu.As<Napi::Number>().Int32Value();
    options.check = o.Get("check").ToBoolean();
  }
  guarded(env, [&] {
    library_ = std::make_unique<ProgramLibrary>(dir_);
    session_ = std::make_unique<Session>(library_->plan(), options);
  });
}

Napi::Value Artefact::programs(const Napi::CallbackInfo& info) {
  const Plan& plan = library_->plan();
  Napi::Array list = Napi::Array::New(info.Env());
  for (const ProgramInfo& p : plan.programs) {
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("name", p.name);
    o.Set("inputs", describe(info.Env(), plan, p.inputs));
    o.Set("outputs", describe(info.Env(), plan, p.outputs));
    const auto launches = std::ranges::count(p.steps, StepKind::launch, &StepInfo::kind);
    o.Set("launches", Napi::Number::New(info.Env(), static_cast<double>(launches)));
    list.Set(list.Length(), o);
  }
  return list;
}

Napi::Value Artefact::state(const Napi::CallbackInfo& info) {
  static constexpr const char* roles[] = {"param", "momentum", "buffer", "derived"};
  const Plan& plan = library_->plan();
  Napi::Array list = Napi::Array::New(info.Env());
  for (const StateInfo& s : plan.state) {
    Napi::Object o = describe_tensor(info.Env(), plan.tensors[s.tensor]);
    o.Set("role", roles[static_cast<int>(s.role)]);
    list.Set(list.Length(), o);
  }
  return list;
}

Napi::Value Artefact::meta(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  for (const MetaInfo& m : library_->plan().meta) o.Set(m.key, m.value);
  return o;
}

Napi::Value Artefact::text(const Napi::CallbackInfo& info) {
  const std::string which = static_cast<const char*>(info.Data());
  const Plan& plan = library_->plan();
  return Napi::String::New(info.Env(), which == "dir" ? dir_ : which == "name" ? plan.name : plan.arch);
}

Napi::Value Artefact::init_state(const Napi::CallbackInfo& info) {
  require_idle(info.Env());
  if (!info[0].IsNumber()) throw Napi::TypeError::New(info.Env(), "initState: the seed must be a number");
  const int64_t seed = info[0].As<Napi::Number>().Int64Value();
  guarded(info.Env(), [&] { session_->init_state(static_cast<uint64_t>(seed)); });
  return info.Env().Undefined();
}

Napi::Value Artefact::get(const Napi::CallbackInfo& info) {
  require_idle(info.Env());
  return guarded(info.Env(), [&] {
    const int t = state_tensor(info);
    const TensorInfo& tensor = session_->info(t);
    return typed_array(info.Env(), tensor, [&](std::span<std::byte> bytes) { session_->get(t, bytes); });
  });
}

Napi::Value Artefact::set(const Napi::CallbackInfo& info) {
  require_idle(info.Env());
  guarded(info.Env(), [&] {
    const int t = state_tensor(info);
    session_->set(t, bytes_of(info[1], session_->info(t)));
  });
  return info.Env().Undefined();
}

Napi::Value Artefact::save(const Napi::CallbackInfo& info) {
  require_idle(info.Env());
  if (!info[0].IsString()) throw Napi::TypeError::New(info.Env(), "save: the path must be a string");
  const std::string path = info[0].As<Napi::String>();
  guarded(info.Env(), [&] { save_state(path, *session_); });
  return info.Env().Undefined();
}

Napi::Value Artefact::load_state(const Napi::CallbackInfo& info) {
  require_idle(info.Env());
  if (!info[0].IsString()) throw Napi::TypeError::New(info.Env(), "load_state: the path must be a string");
  const std::string path = info[0].As<Napi::String>();
  const std::vector<std::string> notes =
      guarded(info.Env(), [&] { return set_state(formats::open_checkpoint(path), *session_); });
  Napi::Array list = Napi::Array::New(info.Env());
  for (const std::string& note : notes) list.Set(list.Length(), note);
  return list;
}

Napi::Value Artefact::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString() || !info[1].IsObject()) throw Napi::TypeError::New(env, "run: expected (program, inputs)");
  const std::string name = info[0].As<Napi::String>();
  const Napi::Object inputs = info[1].As<Napi::Object>();
  const Napi::Promise::Deferred deferred = Napi::Promise::Deferred::New(env);
  try {
    require_idle(env);
    guarded(env, [&] {
      const int program = session_->program(name);
      for (const int32_t t : library_->plan().programs[program].inputs) {
        const TensorInfo& tensor = session_->info(t);
        const Napi::Value value = inputs.Get(short_name(tensor));
        if (value.IsUndefined()) throw InputError("program " + name + ": input " + short_name(tensor) + " is missing");
        session_->set(t, bytes_of(value, tensor));
      }
      const Napi::Array given = inputs.GetPropertyNames();
      for (uint32_t i = 0; i < given.Length(); ++i) session_->input(program, std::string(given.Get(i).ToString()));
      RunWorker::start(*this, program, deferred, info[2]);
    });
  } catch (const Napi::Error& e) {
    deferred.Reject(e.Value());
  }
  return deferred.Promise();
}

int Artefact::state_tensor(const Napi::CallbackInfo& info) const {
  if (!info[0].IsString()) throw InputError("the name of a state tensor must be a string");
  const std::string name = info[0].As<Napi::String>();
  const int t = session_->find_tensor(name);
  if (t < 0 || session_->info(t).arena != Arena::state) throw InputError("no state tensor is called " + name);
  return t;
}

void Artefact::require_idle(Napi::Env env) const {
  if (running_) throw Napi::Error::New(env, "a run of this artefact is under way: await it first");
}

}  // namespace moproc
