#include "runtime/device/cuda/Library.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <set>

namespace fs = std::filesystem;

namespace doppel::runtime::cuda {
namespace {

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// The folders in `parent` whose name begins with `begin`, the last name first (python3.12
/// before 3.9 is no matter; the order is only to be the same each time).
std::vector<fs::path> foldersIn(const fs::path &parent, std::string_view begin) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (fs::directory_iterator at(parent, ignored), end; at != end && !ignored;
       at.increment(ignored))
    if (at->path().filename().string().starts_with(begin) && at->is_directory(ignored))
      found.push_back(at->path());
  std::ranges::sort(found, std::greater());
  return found;
}

/// Adds `nvidia/*/lib` of the site-packages below a prefix such as /usr/local.
void addSitePackages(const fs::path &prefix, std::vector<std::string> &folders) {
  for (const fs::path &python : foldersIn(prefix / "lib", "python3"))
    for (const char *packages : {"site-packages", "dist-packages"})
      for (const fs::path &part : foldersIn(python / packages / "nvidia", "")) {
        std::error_code ignored;
        if (fs::is_directory(part / "lib", ignored))
          folders.push_back(part / "lib");
      }
}

/// Where the first `python3` of PATH is installed; empty where there is none.
fs::path prefixOfPython() {
  std::string path = variable("PATH");
  std::error_code ignored;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    fs::path folder = path.substr(begin, end - begin);
    if (folder.is_absolute() && fs::exists(folder / "python3", ignored))
      return folder.parent_path();
    begin = end + 1;
  }
  return {};
}

} // namespace

LibrarySearch usualSearch() {
  LibrarySearch search;
  std::vector<std::string> &folders = search.then;
  for (const char *name : {"CUDA_HOME", "CUDA_PATH"})
    if (std::string home = variable(name); !home.empty()) {
      folders.push_back(home + "/lib64");
      folders.push_back(home + "/lib");
    }
  folders.insert(folders.end(), {"/usr/local/cuda/lib64", "/usr/lib/wsl/lib"});
  for (const char *name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (std::string prefix = variable(name); !prefix.empty())
      addSitePackages(prefix, folders);
  // Conda's own packages lie beside its Python's.
  if (std::string prefix = variable("CONDA_PREFIX"); !prefix.empty())
    folders.push_back(prefix + "/lib");
  // Images of containers often name their Python nowhere else.
  if (fs::path prefix = prefixOfPython(); !prefix.empty())
    addSitePackages(prefix, folders);
  if (std::string home = variable("HOME"); !home.empty())
    addSitePackages(fs::path(home) / ".local", folders);
  addSitePackages("/usr/local", folders);
  addSitePackages("/usr", folders);
  // CUDA_HOME is often one of the others.
  std::set<std::string> seen;
  std::erase_if(folders, [&](const std::string &folder) { return !seen.insert(folder).second; });
  return search;
}

void *Library::symbol(const char *name) const { return dlsym(handle_, name); }

Result<Library> openLibrary(std::string_view what, std::span<const char *const> names,
                            const LibrarySearch &search) {
  auto open = [](const std::string &path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); };
  auto inFolders = [&](std::span<const std::string> folders) -> Result<Library> {
    for (const std::string &folder : folders)
      for (const char *name : names) {
        std::string path = folder + "/" + name;
        std::error_code ignored;
        if (!fs::exists(path, ignored))
          continue;
        if (void *handle = open(path))
          return Library(handle, path);
        return fail("{} cannot be opened: {}", what, dlerror());
      }
    return Library(nullptr, "");
  };
  DOPPEL_TRY(Library found, inFolders(search.first));
  if (found.handle())
    return found;
  if (search.system)
    for (const char *name : names) {
      if (void *handle = open(name))
        return Library(handle, name);
      // The loader's words tell a missing file from a broken one only by their text.
      std::string said = dlerror();
      if (said.find("No such file") == std::string::npos)
        return fail("{} cannot be opened: {}", what, said);
    }
  DOPPEL_TRY(found, inFolders(search.then));
  if (found.handle())
    return found;
  std::string places;
  for (const std::string &folder : search.first)
    places += (places.empty() ? "" : ", ") + folder;
  if (search.system)
    places += places.empty() ? "the system's library path" : ", the system's library path";
  for (const std::string &folder : search.then)
    places += (places.empty() ? "" : ", ") + folder;
  return fail("{} is not here: looked for {} in {}", what, fmt::join(names, " or "), places);
}

} // namespace doppel::runtime::cuda
