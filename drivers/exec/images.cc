#include "drivers/exec/images.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "drivers/exec/proc.h"

namespace sluice::drivers::exec {

std::string image_id(std::span<const unsigned char> image) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char byte : image) hash = (hash ^ byte) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

Result<std::string> install_image(const std::string& folder, const std::string& name,
                                  std::span<const unsigned char> image) {
  std::string path = folder + "/" + name;
  std::string_view bytes(reinterpret_cast<const char*>(image.data()), image.size());
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno(errno, "mkdir " + folder);
  Result<std::string> present = read_small_file(AT_FDCWD, path.c_str(), image.size() + 1);
  if (present && *present == bytes && access(path.c_str(), X_OK) == 0) return path;
  Result<void> written = replace_file(AT_FDCWD, path, bytes, 0700);
  if (!written) return pass(written);
  return path;
}

}  // namespace sluice::drivers::exec
