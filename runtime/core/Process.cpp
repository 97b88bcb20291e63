// All that is said here is said by write(2): a crashed process, or one without memory, has no
// streams.
#include "runtime/core/Process.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace doppel::runtime {

namespace {

constexpr int kUserError = 1, kInternalError = 70;

const char *bug = "";

void say(std::string_view text) {
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void sayMemory() {
  say("doppel: error: not enough memory: the system refuses more. What was written before is "
      "kept\n");
}

void openStandardDescriptors() {
  // The other way round than they are used: reading or writing fails, as it would have.
  for (auto [descriptor, flags] :
       {std::pair{STDIN_FILENO, O_WRONLY}, {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_RDONLY}})
    if (::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) [[maybe_unused]]
      int opened = ::open("/dev/null", flags);
}

/// Whether a crash is that of a library that takes what malloc() gave without asking whether it
/// gave anything, or that ends the process then, as the C library does for its own needs.
bool isForMemory(int signal, const siginfo_t &info) {
  constexpr uintptr_t kNullPage = 1 << 16;
  return errno == ENOMEM &&
         (signal == SIGABRT ||
          (signal == SIGSEGV && reinterpret_cast<uintptr_t>(info.si_addr) < kNullPage));
}

void reportSignals() {
  // A stack of its own: the crash may be an overflow of the usual one.
  static char stack[1 << 16];
  stack_t alternate = {};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof(stack);
  ::sigaltstack(&alternate, nullptr);
  struct sigaction action = {};
  action.sa_flags = int(SA_ONSTACK | SA_RESETHAND | SA_SIGINFO);
  action.sa_sigaction = [](int signal, siginfo_t *info, void *) {
    if (isForMemory(signal, *info)) {
      sayMemory();
      ::_exit(kUserError);
    }
    say(bug);
    ::_exit(kInternalError);
  };
  for (int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL})
    ::sigaction(signal, &action, nullptr);
}

/// What operator new throws. Where an exception reaches the border of a `noexcept` function that
/// has something to destroy, the program ends with nothing caught, and nobody could tell what it
/// was: those that live are counted.
class Refused : public std::bad_alloc {
public:
  Refused() { ++alive; }
  Refused(const Refused &other) : std::bad_alloc(other) { ++alive; }
  Refused &operator=(const Refused &) = delete;
  ~Refused() override { --alive; }
  static inline std::atomic<int> alive = 0;
};

} // namespace

void guardProcess(const char *bugMessage) {
  bug = bugMessage;
  openStandardDescriptors();
  reportSignals();
  std::set_new_handler([] { throw Refused(); });
  std::set_terminate([] { ::_exit(reportException(std::current_exception())); });
}

int reportException(std::exception_ptr exception) {
  try {
    if (exception)
      std::rethrow_exception(exception);
  } catch (const std::bad_alloc &) {
    sayMemory();
    return kUserError;
  } catch (const std::system_error &error) {
    // What std::thread throws.
    if (error.code() == std::errc::resource_unavailable_try_again) {
      say("doppel: error: the system refuses another thread (ulimit -u, or the limit of a control "
          "group); give fewer by --threads. What was written before is kept\n");
      return kUserError;
    }
    say("doppel: ");
    say(error.what());
    say("\n");
  } catch (const std::exception &error) {
    say("doppel: ");
    say(error.what());
    say("\n");
  } catch (...) {
  }
  if (!exception && Refused::alive > 0) {
    sayMemory();
    return kUserError;
  }
  say(bug);
  return kInternalError;
}

void exitForMemory() {
  sayMemory();
  ::_exit(kUserError);
}

} // namespace doppel::runtime
