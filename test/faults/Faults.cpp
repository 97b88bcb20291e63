// A library to be preloaded (LD_PRELOAD) that makes calls of the C library fail as a full disk, a
// broken one, or a machine without memory would. The environment says which:
//
//   DOPPEL_FAULT_CALLS   files or memory: which calls are counted
//   DOPPEL_FAULT_LOG     a file that gets a line for each counted call, "NUMBER NAME PATH" (of
//                        memory: for each distinct call stack), and each checkpoint renamed
//   DOPPEL_FAULT_AT      the number of the call that fails; of memory, of the call stack, whose
//                        first call fails; 0 or absent: none
//   DOPPEL_FAULT_ERRNO   what it fails with, 5 (EIO) if absent. With 28 (ENOSPC) only calls fail
//                        that take space on a disk
//   DOPPEL_FAULT_LASTING if set, all counted calls after it fail too
//   DOPPEL_FAULT_KILL    if set, the process is killed in place of that call
//
// Standard output and error are left alone; tests of closed pipes and full terminals stand
// elsewhere.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

// Nothing here may allocate or lock: it runs inside of malloc, and on any thread.

struct Settings {
  bool files = false, memory = false, lasting = false, kill = false;
  int log = -1;
  int64_t at = 0;
  int error = EIO;
  uintptr_t programBegin = 0, programEnd = 0;
};

Settings settings;
std::atomic<bool> ready;
std::atomic<int64_t> count;
std::atomic<bool> failedOnce;
thread_local bool inside = false;

/// The C library's own function of that name.
template <typename F> F *next(F *, const char *name) {
  return reinterpret_cast<F *>(dlsym(RTLD_NEXT, name));
}

void logLine(int64_t number, const char *name, const char *path) {
  if (settings.log < 0)
    return;
  char line[512];
  int length = std::snprintf(line, sizeof(line), "%lld %s %s\n", static_cast<long long>(number),
                             name, path ? path : "");
  if (length > 0)
    syscall(SYS_write, settings.log, line, std::min(size_t(length), sizeof(line) - 1));
}

/// Whether this call is to fail; errno is then set.
bool failsNow(int64_t number) {
  bool fails =
      settings.at != 0 && (number == settings.at || (settings.lasting && number > settings.at));
  if (fails && settings.kill)
    kill(getpid(), SIGKILL);
  if (fails) {
    failedOnce = true;
    errno = settings.error;
  }
  return fails;
}

/// Counts a call on files. `space`: it takes space on a disk.
bool fileFails(const char *name, const char *path, bool space) {
  if (!ready || !settings.files || inside)
    return false;
  if (settings.error == ENOSPC && !space)
    return false;
  int64_t number = ++count;
  logLine(number, name, path);
  return failsNow(number);
}

// A table of the call stacks that were seen: hashes, open addressing.
constexpr size_t kStacks = 1 << 16;
std::atomic<uint64_t> seen[kStacks];

/// Enters a stack; true if it is new.
bool enter(uint64_t hash) {
  for (size_t slot = hash % kStacks;; slot = (slot + 1) % kStacks) {
    uint64_t present = seen[slot].load();
    if (present == hash)
      return false;
    if (present == 0 && seen[slot].compare_exchange_strong(present, hash))
      return true;
    if (present == hash)
      return false;
  }
}

/// The innermost return addresses inside of the program that tell one stack from another: deeper
/// ones only say why the same code was called.
constexpr int kDepth = 5;

bool memoryFails(const char *name) {
  if (!ready || !settings.memory || inside)
    return false;
  inside = true;
  void *frames[64];
  int depth = backtrace(frames, 64);
  uint64_t hash = 1469598103934665603u;
  int ours = 0;
  uintptr_t innermost = 0;
  for (int i = 0; i < depth && ours < kDepth; ++i) {
    auto address = reinterpret_cast<uintptr_t>(frames[i]);
    if (address < settings.programBegin || address >= settings.programEnd)
      continue;
    address -= settings.programBegin;
    if (ours++ == 0)
      innermost = address;
    hash = (hash ^ address) * 1099511628211u;
  }
  bool fails = settings.lasting && failedOnce;
  if (ours > 0 && enter(hash | 1)) {
    int64_t number = ++count;
    char place[32];
    std::snprintf(place, sizeof(place), "0x%llx", static_cast<unsigned long long>(innermost));
    logLine(number, name, place);
    fails = failsNow(number);
  }
  if (fails)
    errno = ENOMEM;
  inside = false;
  return fails;
}

int findProgram(dl_phdr_info *info, size_t, void *) {
  // The first object is the program.
  settings.programBegin = info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i)
    if (info->dlpi_phdr[i].p_type == PT_LOAD)
      settings.programEnd =
          info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
  return 1;
}

void initialise() {
  const char *calls = std::getenv("DOPPEL_FAULT_CALLS");
  settings.files = calls && std::strcmp(calls, "files") == 0;
  settings.memory = calls && std::strcmp(calls, "memory") == 0;
  settings.lasting = std::getenv("DOPPEL_FAULT_LASTING") != nullptr;
  settings.kill = std::getenv("DOPPEL_FAULT_KILL") != nullptr;
  if (const char *at = std::getenv("DOPPEL_FAULT_AT"))
    settings.at = std::atoll(at);
  if (const char *error = std::getenv("DOPPEL_FAULT_ERRNO"))
    settings.error = std::atoi(error);
  if (const char *log = std::getenv("DOPPEL_FAULT_LOG"))
    // Far from the descriptors that the program will get.
    if (int file = int(syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0666));
        file >= 0) {
      settings.log = fcntl(file, F_DUPFD_CLOEXEC, 900);
      syscall(SYS_close, file);
    }
  dl_iterate_phdr(findProgram, nullptr);
  void *frame[1];
  backtrace(frame, 1); // loads what it needs
  ready = true;
}

using Main = int (*)(int, char **, char **);
Main programMain;

/// What comes before main() has nobody who could say a sentence.
int countingMain(int argc, char **argv, char **environment) {
  initialise();
  return programMain(argc, argv, environment);
}

bool creates(int flags) { return (flags & O_CREAT) != 0; }

} // namespace

// Where the C library starts the program.
extern "C" int __libc_start_main(Main main, int argc, char **argv, void (*init)(), void (*fini)(),
                                 void (*loaderFini)(), void *stackEnd) {
  static auto *real = next(&__libc_start_main, "__libc_start_main");
  programMain = main;
  return real(countingMain, argc, argv, init, fini, loaderFini, stackEnd);
}

// Calls on files.

#define NEXT(name) static auto *real = next(&name, #name)

#define DEFINE_OPEN(name)                                                                          \
  extern "C" int name(const char *path, int flags, ...) {                                          \
    NEXT(name);                                                                                    \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode_t mode = creates(flags) ? va_arg(arguments, mode_t) : 0;                                  \
    va_end(arguments);                                                                             \
    return fileFails("open", path, creates(flags)) ? -1 : real(path, flags, mode);                 \
  }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

#define DEFINE_OPENAT(name)                                                                        \
  extern "C" int name(int folder, const char *path, int flags, ...) {                              \
    NEXT(name);                                                                                    \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode_t mode = creates(flags) ? va_arg(arguments, mode_t) : 0;                                  \
    va_end(arguments);                                                                             \
    return fileFails("openat", path, creates(flags)) ? -1 : real(folder, path, flags, mode);       \
  }
DEFINE_OPENAT(openat)
DEFINE_OPENAT(openat64)

#define DEFINE(result, failure, name, parameters, arguments, path, space)                          \
  extern "C" result name parameters {                                                              \
    NEXT(name);                                                                                    \
    return fileFails(#name, path, space) ? failure : real arguments;                               \
  }
DEFINE(FILE *, nullptr, fopen, (const char *path, const char *mode), (path, mode), path,
       mode[0] != 'r')
DEFINE(FILE *, nullptr, fopen64, (const char *path, const char *mode), (path, mode), path,
       mode[0] != 'r')
DEFINE(int, -1, mkstemp, (char *path), (path), path, true)
DEFINE(int, -1, mkostemp, (char *path, int flags), (path, flags), path, true)
DEFINE(int, -1, mkostemp64, (char *path, int flags), (path, flags), path, true)
DEFINE(DIR *, nullptr, opendir, (const char *path), (path), path, false)
DEFINE(int, -1, mkdir, (const char *path, mode_t mode), (path, mode), path, true)
DEFINE(int, -1, unlink, (const char *path) noexcept, (path), path, false)
DEFINE(int, -1, unlinkat, (int folder, const char *path, int flags) noexcept, (folder, path, flags),
       path, false)
DEFINE(int, -1, rmdir, (const char *path) noexcept, (path), path, false)
DEFINE(int, -1, fsync, (int file), (file), "", true)
DEFINE(int, -1, fdatasync, (int file), (file), "", true)
DEFINE(int, -1, ftruncate, (int file, off_t size) noexcept, (file, size), "", true)
DEFINE(int, -1, fchmod, (int file, mode_t mode) noexcept, (file, mode), "", false)
DEFINE(ssize_t, -1, read, (int file, void *data, size_t size), (file, data, size), "", false)
DEFINE(int, -1, memfd_create, (const char *name, unsigned flags) noexcept, (name, flags), name,
       true)

extern "C" int rename(const char *from, const char *to) noexcept {
  NEXT(rename);
  if (fileFails("rename", to, true))
    return -1;
  int result = real(from, to);
  if (result == 0 && !inside)
    logLine(0, "renamed", to);
  return result;
}

extern "C" int renameat2(int fromFolder, const char *from, int toFolder, const char *to,
                         unsigned flags) noexcept {
  NEXT(renameat2);
  if (fileFails("renameat2", to, true))
    return -1;
  int result = real(fromFolder, from, toFolder, to, flags);
  if (result == 0 && !inside)
    logLine(0, "renamed", to);
  return result;
}

extern "C" ssize_t write(int file, const void *data, size_t size) {
  NEXT(write);
  bool standard = file == STDOUT_FILENO || file == STDERR_FILENO;
  return !standard && fileFails("write", "", true) ? -1 : real(file, data, size);
}

extern "C" ssize_t writev(int file, const iovec *parts, int number) {
  NEXT(writev);
  bool standard = file == STDOUT_FILENO || file == STDERR_FILENO;
  return !standard && fileFails("writev", "", true) ? -1 : real(file, parts, number);
}

// Calls for memory. The C library has these under other names too, which dlsym() itself may need
// before it can answer.

extern "C" {
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { return memoryFails("malloc") ? nullptr : __libc_malloc(size); }
void *calloc(size_t number, size_t size) {
  return memoryFails("calloc") ? nullptr : __libc_calloc(number, size);
}
void *realloc(void *old, size_t size) {
  return memoryFails("realloc") ? nullptr : __libc_realloc(old, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
  return memoryFails("aligned_alloc") ? nullptr : __libc_memalign(alignment, size);
}
int posix_memalign(void **result, size_t alignment, size_t size) {
  if (memoryFails("posix_memalign"))
    return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}
void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) noexcept {
  if (file < 0 && memoryFails("mmap"))
    return MAP_FAILED;
  return reinterpret_cast<void *>(
      syscall(SYS_mmap, address, size, protection, flags, file, offset));
}
}
