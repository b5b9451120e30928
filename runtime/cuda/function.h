// A function of a library that was loaded while the program runs (the driver, NCCL): called, it throws what its library
// makes of a result that is no success.
#pragma once

#include <dlfcn.h>

namespace moproc::cuda {

/// Library: succeeded(int) and [[noreturn]] fail(const char* call, int result). Use FunctionOf.
template <class Library, class... A>
class Function {
 public:
  void operator()(A... a) const {
    const int r = call_(a...);
    if (!Library::succeeded(r)) library_->fail(name_, r);
  }
  /// The result itself: for destructors.
  int unchecked(A... a) const { return call_(a...); }

  bool bound() const { return call_ != nullptr; }
  /// Looks `symbol` up in the library behind `handle`; false when it is not there.
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
/// FunctionOf<Driver, Result(int*)>: results of both libraries are ints.
template <class Library, class F>
using FunctionOf = typename FunctionType<Library, F>::type;

}  // namespace moproc::cuda
