// Runs the training binary in this process, with stdout and stderr redirected to files meanwhile.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "command/main.h"
#include "support.h"

namespace moproc::test {
namespace {

/// A file descriptor that writes to a file until this is gone.
class Redirect {
 public:
  Redirect(int fd, const std::string& path) : fd_(fd), saved_(dup(fd)) {
    const int to = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(to, fd);
    close(to);
  }
  ~Redirect() {
    std::fflush(nullptr);
    dup2(saved_, fd_);
    close(saved_);
  }

 private:
  int fd_, saved_;
};

}  // namespace

Ran run_train(const Plan& plan, std::vector<std::string> args) {
  Folder folder;
  args.insert(args.begin(), "train");
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  Ran ran{};
  std::fflush(nullptr);
  {
    const Redirect out(STDOUT_FILENO, folder / "out"), err(STDERR_FILENO, folder / "err");
    ran.status = moproc_train_main(static_cast<int>(argv.size()), argv.data(), plan);
  }
  ran.out = read_bytes(folder / "out");
  ran.err = read_bytes(folder / "err");
  return ran;
}

}  // namespace moproc::test
