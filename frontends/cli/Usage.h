// What a misused command line was meant to be: shared by doppel and doppel-compile, which parse the
// options of their own commands alone.
#pragma once

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace doppel::cli {

inline constexpr std::array<std::string_view, 10> commandNames = {
    "compile", "check", "fmt", "explain", "run", "train", "eval", "inspect", "bench", "preview"};

/// The commands that have an option; the options of all commands stand here (test/frontends/cli/
/// usage.test holds the list against each --help).
struct OptionOwners {
  std::string_view option;
  std::string_view commands; ///< separated by blanks
};
inline constexpr OptionOwners optionOwners[] = {
    {"--set", "compile check train"},
    {"--import-path", "compile check train"},
    {"--output", "compile"},
    {"--target", "compile train"},
    {"--precision", "compile train"},
    {"--emit", "compile"},
    {"--dump-phases", "compile"},
    {"--dump-kernels", "compile"},
    {"--explain", "compile"},
    {"--timing", "compile"},
    {"--quiet", "compile"},
    {"--check", "fmt"},
    {"--data", "run train eval preview bench"},
    {"--out", "run train preview"},
    {"--epochs", "run train"},
    {"--steps", "run train bench"},
    {"--seed", "run train eval preview"},
    {"--threads", "run train eval bench"},
    {"--checkpoint-steps", "run train"},
    {"--resume", "run train"},
    {"--overwrite", "run train"},
    {"--holdout", "run train"},
    {"--test", "eval"},
    {"--untrained", "eval"},
    {"--linear", "eval"},
    {"--raw", "eval"},
    {"--step", "eval"},
    {"--artifact", "eval"},
    {"--k", "eval"},
    {"--temperature", "eval"},
    {"--json", "eval bench"},
    {"--kernels", "inspect"},
    {"--params", "inspect"},
    {"--nets", "inspect"},
    {"--warmup", "bench"},
    {"--views", "bench"},
    {"--profile", "bench"},
    {"--images", "preview"},
    {"--help", "compile check fmt explain run train eval inspect bench preview"},
};

/// How many letters are changed, added or left out between two words.
inline size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// The candidate that is most like `word`; none if a third of its letters differ.
inline std::optional<std::string_view> nearest(std::string_view word,
                                               std::span<const std::string_view> candidates) {
  std::optional<std::string_view> best;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (std::string_view candidate : candidates)
    if (size_t distance = editDistance(word, candidate); distance < least) {
      least = distance;
      best = candidate;
    }
  return best;
}

inline std::vector<std::string_view> splitWords(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    size_t blank = text.find(' ');
    words.push_back(text.substr(0, blank));
    text = blank == std::string_view::npos ? "" : text.substr(blank + 1);
  }
  return words;
}

/// "'a'", "'a' and 'b'", "'a', 'b' and 'c'".
inline std::string listWords(std::span<const std::string_view> words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i)
    text += (i == 0                  ? ""
             : i + 1 == words.size() ? " and "
                                     : ", ") +
            ("'" + std::string(words[i]) + "'");
  return text;
}

/// Why `option`, as it was written ("--set", "--epoch=3"), is none of `command`, and what was
/// meant.
inline std::string whyNoOption(std::string_view command, std::string_view option) {
  std::string_view name = option.substr(0, option.find('='));
  std::string text = "'" + std::string(command) + "' has no option " + std::string(name);
  std::vector<std::string_view> own;
  for (const OptionOwners &entry : optionOwners) {
    std::vector<std::string_view> owners = splitWords(entry.commands);
    if (std::find(owners.begin(), owners.end(), command) != owners.end())
      own.push_back(entry.option);
    else if (entry.option == name) {
      text += "; " + listWords(owners) + (owners.size() == 1 ? " has it" : " have it");
      if (name == "--set")
        text += ": the params of a spec are fixed when it is compiled (doppel compile SPEC --set "
                "NAME=VALUE -o A.dpx)";
      return text;
    }
  }
  if (auto meant = nearest(name, own))
    return text + "; did you mean " + std::string(*meant) + "?";
  return text + "; doppel " + std::string(command) + " --help lists its options";
}

/// The first word of a command's arguments that begins like an option and is none of `known`; "" if
/// there is none. "--" ends the options.
template <typename IsKnown>
std::string_view firstUnknownOption(std::span<char *const> words, IsKnown known) {
  for (std::string_view word : words) {
    if (word == "--")
      break;
    if (word.starts_with("--") && !known(std::string(word.substr(0, word.find('=')))))
      return word;
  }
  return "";
}

/// Why the words behind the one argument of `command` are too many, and what was meant:
/// `needsOption` tells whether the command has that option and it was not given.
template <typename Words, typename NeedsOption>
std::string whyTooMany(std::string_view command, std::string_view argument, const Words &words,
                       NeedsOption needsOption) {
  std::string text = "'" + std::string(command) + "' takes one argument, " + std::string(argument);
  std::string meant;
  size_t next = 0;
  for (std::string option : {"data", "out"})
    if (next < words.size() && needsOption("--" + option))
      meant += " --" + option + " " + words[next++];
  return next == words.size() ? text + "; did you mean" + meant + "?"
                              : text + ", and " + words[next] + " is one too many";
}

} // namespace doppel::cli
