// `doppel fmt`: reads specs, has them laid out (frontends/spec/Format.h) and writes those that
// change, each wholly or not at all.
#include "frontends/spec/Format.h"
#include "frontends/cli/Inputs.h"
#include "frontends/cli/compile/Driver.h"
#include "frontends/spec/ReadFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace doppel::cli {

static int fail(const Twine &message) {
  errs() << "doppel: error: " << message << '\n';
  return userError;
}

/// Replaces the contents of `path`, behind links if it is one, and keeps owner and permissions.
static std::error_code replaceFile(StringRef path, StringRef text) {
  namespace fs = sys::fs;
  SmallString<256> target;
  fs::file_status status;
  if (std::error_code error = fs::access(path, fs::AccessMode::Write))
    return error;
  if (std::error_code error = fs::real_path(path, target))
    return error;
  if (std::error_code error = fs::status(target, status))
    return error;
  Expected<fs::TempFile> temporary = fs::TempFile::create(target + ".%%%%%%");
  if (!temporary)
    return errorToErrorCode(temporary.takeError());
  // Only root may give a file away; another's becomes one's own.
  (void)fs::changeFileOwnership(temporary->FD, status.getUser(), status.getGroup());
  std::error_code error = fs::setPermissions(temporary->FD, status.permissions());
  {
    raw_fd_ostream out(temporary->FD, /*shouldClose=*/false);
    out << text;
    out.flush();
    if (!error)
      error = out.error();
    out.clear_error();
  }
  if (error) {
    consumeError(temporary->discard());
    return error;
  }
  return errorToErrorCode(temporary->keep(target));
}

static int formatFile(const std::string &path, bool check) {
  if (auto expected = expectSpec("fmt", path); !expected)
    return fail(expected.error().message);
  std::string why;
  auto file = spec::readRegularFile(path, why);
  if (!file)
    return fail("cannot read " + path + ": " + why);
  StringRef text = file->getBuffer();
  std::optional<std::string> result = spec::formatSpec(path, text.str(), errs(), wantsColour());
  if (!result)
    return userError;
  if (text == *result)
    return done;
  if (!check)
    if (std::error_code error = replaceFile(path, *result))
      return fail("cannot write " + path + ": " + error.message());
  outs() << path << '\n';
  return check ? userError : done;
}

static int formatStdin(bool check) {
  auto input = MemoryBuffer::getSTDIN();
  if (!input)
    return fail("cannot read stdin: " + input.getError().message());
  StringRef text = (*input)->getBuffer();
  std::optional<std::string> result =
      spec::formatSpec("<stdin>", text.str(), errs(), wantsColour());
  if (!result)
    return userError;
  bool changes = text != *result;
  if (!check)
    outs() << *result;
  else if (changes)
    outs() << "<stdin>\n";
  return check && changes ? userError : done;
}

int formatSpecs(const FormatOptions &options) {
  int code = done;
  if (options.inputs == std::vector<std::string>{"-"}) {
    code = formatStdin(options.check);
  } else if (is_contained(options.inputs, "-")) {
    fail("'-' stands alone: what is laid out goes to stdout");
    return usageError;
  } else {
    for (const std::string &path : options.inputs)
      code = std::max(code, formatFile(path, options.check));
  }
  outs().flush();
  if (std::error_code error = outs().error()) {
    outs().clear_error();
    return fail("cannot write to stdout: " + error.message());
  }
  return code;
}

} // namespace doppel::cli
