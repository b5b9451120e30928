// A function of a library that is loaded at run time (the CUDA driver, NCCL). A call whose result is not success throws
// the library's exception.
#pragma once

#include <dlfcn.h>

namespace moproc::cuda {

/// Library must have succeeded(int) and [[noreturn]] fail(const char* call, int result). Use it through FunctionOf.
template <class Library, class... A>
class Function {
 public:
  void operator()(A... a) const {
    const int r = call_(a...);
    if (!Library::succeeded(r)) library_->fail(name_, r);
  }
  /// Returns the result and never throws; for destructors.
  int unchecked(A... a) const { return call_(a...); }

  bool bound() const { return call_ != nullptr; }
  /// Looks up `symbol` in the library `handle`. Returns false if the library does not have it.
  bool bind(const Library& library, void* handle, const char* symbol) {
    call_ = reinterpret_cast<int (*)(A...)>(dlsym(handle, symbol));
    name_ = symbol;
    library_ = &library;
    return bound();
  }

 private:
  int (*call_)(A...) = nullptr;
  const char* name_ = nullptr;
  const Library* library_ = nullptr;
};

template <class Library, class F>
struct FunctionType;
template <class Library, class... A>
struct FunctionType<Library, int(A...)> {
  using type = Function<Library, A...>;
};
/// FunctionOf<Driver, Result(int*)>. The results of both libraries are ints.
template <class Library, class F>
using FunctionOf = typename FunctionType<Library, F>::type;

}  // namespace moproc::cuda
