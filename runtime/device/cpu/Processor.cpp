// Which instructions this machine's processor has, by the names that the Linux kernel gives them.
#include "runtime/device/cpu/Processor.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace doppel::runtime {

Result<std::set<std::string>> processorFeatures(const std::filesystem::path &file) {
  errno = 0;
  std::ifstream cpuinfo(file);
  std::set<std::string> features;
  for (std::string line; std::getline(cpuinfo, line);) {
    // "flags" on x86, "Features" on ARM; all cores have the same.
    if (!line.starts_with("flags") && !line.starts_with("Features"))
      continue;
    std::istringstream words(line.substr(std::min(line.find(':'), line.size() - 1) + 1));
    for (std::string word; words >> word;)
      features.insert(word);
    break;
  }
  if (features.empty())
    return fail("cannot tell what this processor has: {} {}", file.string(),
                errno ? std::strerror(errno) : "has no list of its features");
  return features;
}

std::string compileCommand(const schema::Program &program) {
  std::string spec = "SPEC", sets;
  for (const schema::Location *location : *program.locations())
    if (location->file()->size() > 0 && !location->file()->str().starts_with("std/")) {
      spec = location->file()->str();
      break;
    }
  if (program.params())
    for (const schema::Param *param : *program.params())
      sets +=
          fmt::format(" --set {}={}", param->name()->string_view(), param->value()->string_view());
  return fmt::format("doppel compile {} -o ARTIFACT{}", spec, sets);
}

Result<void> checkProcessor(const schema::Program &program, std::string_view kind) {
  const schema::Target &target = *program.target();
  if (target.kind()->string_view() != kind)
    return fail("was compiled for {}, and runs on no {}; rebuild it here: {}",
                target.kind()->string_view(), kind == "cpu" ? "CPU" : kind,
                compileCommand(program));
  if (target.features()->size() == 0)
    return {};
  DOPPEL_TRY(std::set<std::string> present, processorFeatures());
  std::string missing;
  for (const flatbuffers::String *feature : *target.features())
    if (!present.contains(feature->str()))
      missing += (missing.empty() ? "" : ", ") + feature->str();
  if (!missing.empty())
    return fail("was compiled for the processor {}, this one lacks {}; rebuild it here: {}",
                target.name()->string_view(), missing, compileCommand(program));
  return {};
}

} // namespace doppel::runtime
