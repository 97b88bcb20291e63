// What the commands print: tables, a progress bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doppel::cli {

/// Writes to a standard stream. What cannot be written, since a pipe was closed or a disk is full,
/// is no reason to stop: it is dropped, and flushOutput() tells.
void write(std::FILE *stream, std::string_view text);

/// Prints results, to standard output.
template <typename... Args> void printOut(fmt::format_string<Args...> format, Args &&...args) {
  write(stdout, fmt::format(format, std::forward<Args>(args)...));
}

/// Prints messages and progress, to standard error.
template <typename... Args> void printError(fmt::format_string<Args...> format, Args &&...args) {
  write(stderr, fmt::format(format, std::forward<Args>(args)...));
}

/// Whether all that was printed to standard output has arrived; if not, says why on standard error.
bool flushOutput();

/// Whether standard error is a terminal: progress goes there, results to standard output.
bool isTerminal();

/// Prints "doppel: warning: " and the text.
void warn(std::string_view text);

/// Rows as aligned columns with two blanks between; a column of numbers is aligned right.
std::string formatTable(const std::vector<std::vector<std::string>> &rows,
                        const std::vector<bool> &alignRight = {});

/// "1h 02m", "3m 05s", "12s".
std::string formatDuration(double seconds);

/// "1,234,567".
std::string formatCount(int64_t number);

/// A rate, a second: "1,234"; below ten with two figures, "7.6".
std::string formatRate(double perSecond);

/// One line that is redrawn on a terminal; elsewhere a plain line every few seconds.
class Progress {
public:
  /// Shows `done` of `total` with a text before and after the bar. Redraws at most ten times a
  /// second.
  void update(std::string_view before, int64_t done, int64_t total, std::string_view after);
  /// Ends the line that is being redrawn, so that other text may follow.
  void finish();
  /// Prints a line above the bar.
  void message(std::string_view line);

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last{};
  bool open = false;
};

} // namespace doppel::cli
