// What this machine's processor has, held against what a program was compiled for.
#pragma once

#include "runtime/core/Error.h"
#include "runtime/schema/program_generated.h"

#include <filesystem>
#include <set>
#include <string>

namespace doppel::runtime {

/// The processor features of this machine, as the kernel names them in `file`. Fails where that
/// cannot be read.
Result<std::set<std::string>>
processorFeatures(const std::filesystem::path &file = "/proc/cpuinfo");

/// Whether the program is for a target of this kind, and for a processor whose features this
/// machine's has. The error names those that are missing, and how to compile it again.
Result<void> checkProcessor(const schema::Program &program, std::string_view kind = "cpu");

/// The command that compiles the program again, with its params, for the machine it is given on.
std::string compileCommand(const schema::Program &program);

} // namespace doppel::runtime
