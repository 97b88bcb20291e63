// A library to be preloaded (LD_PRELOAD) that hides files from a program: those whose path has the
// word that DOPPEL_HIDDEN names, so that a test of a missing library does not depend on the
// machine.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/stat.h>

namespace {

thread_local bool failed = false;

bool isHidden(const char *path) {
  const char *word = std::getenv("DOPPEL_HIDDEN");
  return word && path && std::strstr(path, word);
}

/// The C library's own function of that name.
template <typename F> F *next(F *, const char *name) {
  return reinterpret_cast<F *>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

void *dlopen(const char *path, int flags) noexcept {
  failed = isHidden(path);
  return failed ? nullptr : next(dlopen, "dlopen")(path, flags);
}

char *dlerror() noexcept {
  static char words[] = "cannot open shared object file: No such file or directory";
  if (!failed)
    return next(dlerror, "dlerror")();
  failed = false;
  return words;
}

int stat(const char *path, struct stat *target) noexcept {
  if (!isHidden(path))
    return next(stat, "stat")(path, target);
  errno = ENOENT;
  return -1;
}
}
