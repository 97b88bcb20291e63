// The borders of a process: what comes in by its descriptors and leaves as an exception, a signal
// or a refused allocation. Whatever happens, the user reads a sentence and the exit code tells
// whose fault it was.
#pragma once

#include <exception>

namespace doppel::runtime {

/// The first thing that main() does. Closed standard descriptors are opened on /dev/null, so that
/// no data file gets their numbers and what is printed. From now on a crash, a failed assertion or
/// an exception that nobody catches says `bugMessage` and exits with 70; memory or a thread that
/// the system refuses is a sentence and exit code 1, on any thread, also where a library takes what
/// malloc() did not give. `bugMessage` stays where it is.
void guardProcess(const char *bugMessage);

/// Says what an exception that reached main() means; returns the exit code.
int reportException(std::exception_ptr exception);

/// For a library that tells of a refused allocation by itself: the same sentence, exit code 1.
[[noreturn]] void exitForMemory();

} // namespace doppel::runtime
