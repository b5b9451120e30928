/* Simulates an unreliable disk: a library for LD_PRELOAD that makes some calls of the training binary fail.
 *
 *   FLAKY_READ=N        every N-th read of a .jpg fails once with EIO
 *   FLAKY_COUNT=FILE    the file to which the number of failed reads is written at the end
 *   FLAKY_READONLY=FILE while FILE exists, creating a .safetensors fails with EROFS
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kFiles = 4096 };
static atomic_char is_image[kFiles];
static atomic_int reads, failures;

__attribute__((destructor)) static void tell(void) {
  const char* const file = getenv("FLAKY_COUNT");
  const int fd = file ? creat(file, 0666) : -1;
  if (fd >= 0) dprintf(fd, "%d", failures), close(fd);
}

static int refuses(const char* path, int flags) {
  const char* const file = getenv("FLAKY_READONLY");
  return file && (flags & O_CREAT) && strstr(path, ".safetensors") && access(file, F_OK) == 0;
}

static int opened(int fd, const char* path) {
  if (fd >= 0 && fd < kFiles) is_image[fd] = strstr(path, ".jpg") != NULL;
  return fd;
}

static int fails(int fd) {
  const char* const every = getenv("FLAKY_READ");
  return every && fd >= 0 && fd < kFiles && is_image[fd] && ++reads % atoi(every) == 0;
}

#define OPEN(name)                                                                        \
  int name(const char* path, int flags, ...) {                                            \
    static int (*real)(const char*, int, ...);                                            \
    if (!real) real = (int (*)(const char*, int, ...))dlsym(RTLD_NEXT, #name);            \
    va_list rest;                                                                         \
    va_start(rest, flags);                                                                \
    const mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                       \
    va_end(rest);                                                                         \
    if (refuses(path, flags)) return errno = EROFS, -1;                                   \
    return opened(real(path, flags, mode), path);                                         \
  }
OPEN(open)
OPEN(open64)

ssize_t read(int fd, void* to, size_t bytes) {
  static ssize_t (*real)(int, void*, size_t);
  if (!real) real = (ssize_t(*)(int, void*, size_t))dlsym(RTLD_NEXT, "read");
  if (fails(fd)) return ++failures, errno = EIO, -1;
  return real(fd, to, bytes);
}
