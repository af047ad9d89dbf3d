/* A disk that is slow or never answers, for one process: preloaded, it delays every call to a file in the folder SLOW_DISK by as many
 * ms as the file SLOW_DISK/.ms says; -1 is for ever. A row so can make the disk slow and well again while it runs. Calls are those that
 * Rust's std and libuv make on Linux. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *folder(void) { return getenv("SLOW_DISK"); }

/* How long calls take now. */
static long delay_ms(void) {
  char path[4096], text[32] = {0};
  snprintf(path, sizeof path, "%s/.ms", folder());
  int fd = NEXT(open)(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = NEXT(read)(fd, text, sizeof text - 1);
  NEXT(close)(fd);
  return length > 0 ? atol(text) : 0;
}

static void wait_for_disk(void) {
  long ms = delay_ms();
  if (ms > 0) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
  }
  while (ms < 0) {
    struct timespec time = {0, 20000000};
    nanosleep(&time, NULL);
    ms = delay_ms();
  }
}

static void path_called(const char *path) {
  const char *slow = folder();
  size_t length = slow ? strlen(slow) : 0;
  if (length && path && !strncmp(path, slow, length) && path[length] == '/' && strcmp(path + length, "/.ms")) wait_for_disk();
}

static void fd_called(int fd) {
  if (!folder()) return;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return;
  path[length] = 0;
  path_called(path);
}

#define OPEN(name)                                         \
  int name(const char *path, int flags, ...) {             \
    va_list rest;                                          \
    va_start(rest, flags);                                 \
    mode_t mode = va_arg(rest, mode_t);                    \
    va_end(rest);                                          \
    path_called(path);                                     \
    return NEXT(name)(path, flags, mode);                  \
  }
OPEN(open)
OPEN(open64)

#define BY_FD(type, name, params, args) \
  type name params {                    \
    fd_called(fd);                      \
    return NEXT(name) args;             \
  }
BY_FD(ssize_t, read, (int fd, void *bytes, size_t length), (fd, bytes, length))
BY_FD(ssize_t, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
BY_FD(ssize_t, pread, (int fd, void *bytes, size_t length, off_t at), (fd, bytes, length, at))
BY_FD(ssize_t, pread64, (int fd, void *bytes, size_t length, off64_t at), (fd, bytes, length, at))
BY_FD(ssize_t, pwrite, (int fd, const void *bytes, size_t length, off_t at), (fd, bytes, length, at))
BY_FD(ssize_t, pwrite64, (int fd, const void *bytes, size_t length, off64_t at), (fd, bytes, length, at))
BY_FD(ssize_t, writev, (int fd, const struct iovec *list, int count), (fd, list, count))
BY_FD(int, ftruncate, (int fd, off_t length), (fd, length))
BY_FD(int, ftruncate64, (int fd, off64_t length), (fd, length))
BY_FD(int, fsync, (int fd), (fd))
BY_FD(int, fdatasync, (int fd), (fd))

#define BY_PATH(name, params, args) \
  int name params {                 \
    path_called(path);              \
    return NEXT(name) args;         \
  }
BY_PATH(rename, (const char *path, const char *to), (path, to))
BY_PATH(unlink, (const char *path), (path))
BY_PATH(stat, (const char *path, struct stat *into), (path, into))
BY_PATH(stat64, (const char *path, struct stat64 *into), (path, into))
BY_PATH(lstat, (const char *path, struct stat *into), (path, into))
BY_PATH(lstat64, (const char *path, struct stat64 *into), (path, into))

/* What Rust's std prefers to stat. */
int statx(int dir, const char *restrict path, int flags, unsigned int mask, struct statx *restrict into) {
  if (*path) path_called(path);
  else fd_called(dir);
  return NEXT(statx)(dir, path, flags, mask, into);
}

int close(int fd) {
  fd_called(fd);
  return NEXT(close)(fd);
}
