// The runtime's error channel: an Error is a sentence for a person, to which each caller adds what
// it was doing.
#pragma once

#include <expected>
#include <fmt/format.h>
#include <string>
#include <utility>

namespace doppel::runtime {

/// Whose fault it is; the command line maps this to its exit code.
enum class ErrorKind {
  User,     ///< wrong input, missing file, full disk: exit code 1
  Internal, ///< a broken invariant of ours: exit code 70
};

struct Error {
  std::string message;
  ErrorKind kind = ErrorKind::User;

  /// "`context`: `message`", for callers who know what was being done.
  Error within(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
  }
};

template <typename T> using Result = std::expected<T, Error>;

template <typename... Args>
std::unexpected<Error> fail(fmt::format_string<Args...> format, Args &&...args) {
  return std::unexpected(Error{fmt::format(format, std::forward<Args>(args)...)});
}

template <typename... Args>
std::unexpected<Error> failInternal(fmt::format_string<Args...> format, Args &&...args) {
  return std::unexpected(
      Error{fmt::format(format, std::forward<Args>(args)...), ErrorKind::Internal});
}

} // namespace doppel::runtime

#define DOPPEL_CONCAT_IMPL(a, b) a##b
#define DOPPEL_CONCAT(a, b) DOPPEL_CONCAT_IMPL(a, b)

/// Assigns the value of a Result to `lhs` (which may declare it), or returns its error from this
/// function.
#define DOPPEL_TRY(lhs, expression)                                                                \
  auto DOPPEL_CONCAT(result_, __LINE__) = (expression);                                            \
  if (!DOPPEL_CONCAT(result_, __LINE__))                                                           \
    return std::unexpected(std::move(DOPPEL_CONCAT(result_, __LINE__).error()));                   \
  lhs = *std::move(DOPPEL_CONCAT(result_, __LINE__))

/// Returns the error of a Result<void> from this function.
#define DOPPEL_CHECK(expression)                                                                   \
  if (auto checked = (expression); !checked)                                                       \
  return std::unexpected(std::move(checked.error()))
