// The native tests' whole framework: register with TEST, assert with CHECK*, print TAP for the runner.
// Surprising: a failed CHECK does not stop its test (REQUIRE does); the process exits 1 if any test failed.
//
//   #include "tap.h"
//   TEST("adds") { CHECK_EQ(1 + 1, 2); }
//   int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
#pragma once

#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <source_location>
#include <sstream>
#include <string>
#include <vector>

namespace moproc::test {

// Thrown by REQUIRE after the failure was noted; ends the running test only.
struct Stop {};
// Thrown by skip(): the test is reported as `ok N - name # SKIP reason`.
struct Skip {
  std::string reason;
};

struct Case {
  std::string name;
  std::function<void()> body;
};

struct Registry {
  std::vector<Case> cases;
  std::vector<std::string> failures;  // of the running test
  static Registry& get() {            // function-local: tests register before main starts
    static Registry registry;
    return registry;
  }
};

struct Register {
  Register(std::string name, std::function<void()> body) {
    Registry::get().cases.push_back({std::move(name), std::move(body)});
  }
};

[[noreturn]] inline void skip(std::string reason) { throw Skip{std::move(reason)}; }

// The functions that make texts are not inlined, because thousands of checks would then take long to compile.
[[gnu::noinline]] inline bool note(bool ok, const char* file, int line, const std::string& text) {
  if (!ok) Registry::get().failures.push_back(std::string(file) + ":" + std::to_string(line) + ": " + text);
  return ok;
}
/// The same for a literal, of which a check that holds makes no string.
[[gnu::noinline]] inline bool note(bool ok, const char* file, int line, const char* text) {
  return ok || note(false, file, line, std::string(text));
}

/// Whether `text` contains `part`; if not, the running test fails, with both in its message.
inline bool has(const std::string& text, const std::string& part,
                std::source_location at = std::source_location::current()) {
  return note(text.find(part) != std::string::npos, at.file_name(), static_cast<int>(at.line()),
              "'" + part + "' is not in: " + text);
}

template <class T>
[[gnu::noinline]] std::string show(const T& value) {
  std::ostringstream out;
  out.precision(17);
  if constexpr (requires { out << value; }) out << value;
  else out << "(value)";
  return out.str();
}

template <class A, class B>
[[gnu::noinline]] bool check_eq(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return true;
  return note(false, file, line, std::string(text) + ": " + show(a) + " is not " + show(b));
}

[[gnu::noinline]] inline bool check_near(double a, double b, double tolerance, const char* text, const char* file,
                                         int line) {
  if (std::fabs(a - b) <= tolerance) return true;
  return note(false, file, line, std::string(text) + ": " + show(a) + " vs " + show(b));
}

// Runs `body`, which must throw a std::exception whose message contains `part`.
template <class F>
bool check_throws(F&& body, const std::string& part, const char* file, int line) {
  try {
    body();
  } catch (const std::exception& e) {
    if (std::string(e.what()).find(part) != std::string::npos) return true;
    return note(false, file, line, "message '" + std::string(e.what()) + "' lacks '" + part + "'");
  }
  return note(false, file, line, "nothing was thrown, expected '" + part + "'");
}

inline std::string one_line(std::string text) {
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text;
}

// Runs every registered test whose name contains argv[1] (all without it); returns main's exit status.
// A filter that matches nothing fails: a test run that tests nothing is no pass.
inline int run(int argc, char** argv) {
  Registry& registry = Registry::get();
  const std::string filter = argc > 1 ? argv[1] : "";
  std::vector<const Case*> chosen;
  for (const Case& c : registry.cases)
    if (c.name.find(filter) != std::string::npos) chosen.push_back(&c);
  std::printf("1..%zu\n", chosen.size());
  int failed = chosen.empty() ? 1 : 0;
  for (size_t i = 0; i < chosen.size(); ++i) {
    std::string directive;
    registry.failures.clear();
    try {
      chosen[i]->body();
    } catch (const Stop&) {
    } catch (const Skip& s) {
      directive = " # SKIP " + one_line(s.reason);
    } catch (const std::exception& e) {
      registry.failures.push_back(std::string("exception: ") + e.what());
    } catch (...) {
      registry.failures.push_back("an exception that is no std::exception");
    }
    const bool ok = registry.failures.empty();
    failed += !ok;
    std::printf("%sok %zu - %s%s\n", ok ? "" : "not ", i + 1, chosen[i]->name.c_str(), ok ? directive.c_str() : "");
    for (const std::string& f : registry.failures) std::printf("# %s\n", one_line(f).c_str());
    std::fflush(stdout);
  }
  return failed ? 1 : 0;
}

}  // namespace moproc::test

#define MOPROC_TEST_CAT_(a, b) a##b
#define MOPROC_TEST_CAT(a, b) MOPROC_TEST_CAT_(a, b)
#define MOPROC_TEST_AT(id, name)                                                                                  \
  static void MOPROC_TEST_CAT(test_body_, id)();                                                                  \
  static const ::moproc::test::Register MOPROC_TEST_CAT(test_entry_, id)(name, &MOPROC_TEST_CAT(test_body_, id)); \
  static void MOPROC_TEST_CAT(test_body_, id)()
#define TEST(name) MOPROC_TEST_AT(__COUNTER__, name)
#define CHECK(x) ::moproc::test::note(static_cast<bool>(x), __FILE__, __LINE__, #x)
#define CHECK_EQ(a, b) ::moproc::test::check_eq((a), (b), #a " == " #b, __FILE__, __LINE__)
// |a - b| <= tolerance; NaN fails.
#define CHECK_NEAR(a, b, tolerance) \
  ::moproc::test::check_near(double(a), double(b), double(tolerance), #a " near " #b, __FILE__, __LINE__)
#define CHECK_THROWS(statement, part) ::moproc::test::check_throws([&] { statement; }, part, __FILE__, __LINE__)
#define REQUIRE(x)                               \
  do {                                           \
    if (!CHECK(x)) throw ::moproc::test::Stop{}; \
  } while (0)
