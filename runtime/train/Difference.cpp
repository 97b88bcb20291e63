// Artifacts hold their params and the text of their spec, but not that of the files it uses.
#include "runtime/train/Difference.h"

#include "runtime/core/Text.h"

#include <map>
#include <optional>

namespace doppel::runtime {

namespace {

constexpr size_t kMostParams = 4;

std::map<std::string, std::string> paramsOf(const Artifact &artifact) {
  std::map<std::string, std::string> params;
  for (const schema::Param *param : *artifact.program().params())
    params[param->name()->str()] = printable(param->value()->string_view());
  return params;
}

/// "tau is 0.2 there, 0.1 here; dim is 64 there, not a param here".
std::string differentParams(const Artifact &theirs, const Artifact &ours) {
  std::map<std::string, std::pair<std::optional<std::string>, std::optional<std::string>>> values;
  for (auto &[name, value] : paramsOf(theirs))
    values[name].first = value;
  for (auto &[name, value] : paramsOf(ours))
    values[name].second = value;
  std::erase_if(values, [](const auto &item) { return item.second.first == item.second.second; });
  std::string text;
  size_t told = 0;
  for (const auto &[name, value] : values) {
    if (told == kMostParams)
      return text + fmt::format(" and {} more params differ", values.size() - told);
    text += fmt::format("{}{} is {} there, {} here", told++ ? "; " : "", printable(name),
                        value.first.value_or("no param"), value.second.value_or("no param"));
  }
  return text;
}

std::string_view takeLine(std::string_view &text) {
  size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
    line.remove_suffix(1);
  while (!line.empty() && line.front() == ' ')
    line.remove_prefix(1);
  return line;
}

/// The first line of the spec that differs, where both have their spec.
std::string differentLine(std::string_view theirs, std::string_view ours) {
  if (theirs.empty() || ours.empty())
    return "";
  for (int line = 1; !theirs.empty() || !ours.empty(); ++line) {
    std::string_view before = takeLine(theirs), now = takeLine(ours);
    if (before != now)
      return fmt::format("line {} of the spec is `{}` there, `{}` here", line, printable(before),
                         printable(now));
  }
  return "";
}

} // namespace

std::string describeDifference(const Artifact &theirs, const Artifact &ours) {
  const schema::Program &before = theirs.program(), &now = ours.program();
  if (before.method()->string_view() != now.method()->string_view())
    return fmt::format("it is {}, not {}", printable(before.method()->string_view()),
                       printable(now.method()->string_view()));
  if (std::string params = differentParams(theirs, ours); !params.empty())
    return params;
  if (before.batch() != now.batch())
    return fmt::format("the batch is {} there, {} here", before.batch(), now.batch());
  if (std::string line = differentLine(theirs.specSource(), ours.specSource()); !line.empty())
    return line;
  return fmt::format("params and spec are equal, so it is a file that the spec uses, or the "
                     "compiler ({} there, {} here)",
                     printable(before.producer()->string_view()),
                     printable(now.producer()->string_view()));
}

} // namespace doppel::runtime
