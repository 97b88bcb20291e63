// What leaves a process that is guarded: a sentence, and the code that tells whose fault it was.
// Each case ends a process of its own.

#include "runtime/core/Process.h"
#include <cerrno>
#include <cstdint>
#include <gtest/gtest.h>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

using namespace doppel::runtime;

namespace {

constexpr const char *kMemory = "^doppel: error: not enough memory: [^\n]*\n$";
constexpr const char *kBug = "^this is a bug\n$";

/// More than any machine has; the compiler may not see that.
void refuse() {
  volatile size_t bytes = size_t(-1) / 4;
  ::operator delete(::operator new(bytes));
}

/// A call that has something to destroy. In a `noexcept` function that it was inlined into, that is
/// destroyed before the program ends, and the exception is caught by nobody.
template <typename F> [[gnu::always_inline]] inline void withSomethingToDestroy(F body) {
  std::string destroyed(100, ' ');
  body();
  EXPECT_EQ(destroyed.size(), 100u);
}

void throwAnother() { throw std::runtime_error("another"); }

struct Guarded : testing::Test {
  Guarded() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
using CoreProcessDeathTest = Guarded;

/// Runs `body` as main() does.
template <typename F> void guarded(F body) {
  guardProcess("this is a bug\n");
  try {
    body();
  } catch (...) {
    std::exit(reportException(std::current_exception()));
  }
  std::exit(0);
}

TEST_F(CoreProcessDeathTest, RefusedMemoryIsASentenceWhereNobodyCatchesIt) {
  EXPECT_EXIT(guarded(refuse), testing::ExitedWithCode(1), kMemory);
  EXPECT_EXIT(guarded([] { std::thread(refuse).join(); }), testing::ExitedWithCode(1), kMemory);
}

TEST_F(CoreProcessDeathTest, RefusedMemoryIsASentenceAtTheBorderOfNoexcept) {
  auto border = []() noexcept { withSomethingToDestroy(refuse); };
  EXPECT_EXIT(guarded(border), testing::ExitedWithCode(1), kMemory);
  // What a destructor does while another refusal unwinds.
  struct AtTheEnd {
    ~AtTheEnd() { withSomethingToDestroy(refuse); }
  };
  EXPECT_EXIT(guarded([] {
                AtTheEnd end;
                refuse();
              }),
              testing::ExitedWithCode(1), kMemory);
}

TEST_F(CoreProcessDeathTest, AnyOtherEndIsABugThoughMemoryWasRefusedBefore) {
  auto end = []() noexcept {
    try {
      refuse();
    } catch (const std::bad_alloc &) {
    }
    withSomethingToDestroy(throwAnother);
  };
  EXPECT_EXIT(guarded(end), testing::ExitedWithCode(70), kBug);
  EXPECT_EXIT(guarded([] { std::terminate(); }), testing::ExitedWithCode(70), kBug);
  EXPECT_EXIT(guarded([] { std::abort(); }), testing::ExitedWithCode(70), kBug);
}

// MLIR, for one, writes to what malloc() gives.
TEST_F(CoreProcessDeathTest, ACrashBehindARefusalIsASentenceAndNoOtherIs) {
  auto write = [](int error, uintptr_t address) {
    volatile uintptr_t hidden = address; // from the compiler, which would see a wrong place
    errno = error;
    *reinterpret_cast<volatile char *>(hidden) = 1;
  };
  EXPECT_EXIT(guarded([&] { write(ENOMEM, 16); }), testing::ExitedWithCode(1), kMemory);
  EXPECT_EXIT(guarded([&] { write(0, 16); }), testing::ExitedWithCode(70), kBug);
  EXPECT_EXIT(guarded([&] { write(ENOMEM, 1 << 20); }), testing::ExitedWithCode(70), kBug);
  EXPECT_EXIT(guarded([] {
                errno = ENOMEM;
                std::abort();
              }),
              testing::ExitedWithCode(1), kMemory);
}

} // namespace
