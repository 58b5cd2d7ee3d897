// The executables that travel inside others, so that sluice stays one file: the keeper's in the
// supervisor, the supervisor's in sluice. They are written to the supervisor's folder where they
// run. Plain functions; any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/result.h"

namespace sluice::drivers::exec {

/// Linked into the supervisor only.
std::span<const unsigned char> keeper_image();
/// Linked into sluice only.
std::span<const unsigned char> supervisor_image();

/// A short name of the bytes (FNV-1a), for telling builds apart.
std::string image_id(std::span<const unsigned char> image);
/// Makes FOLDER/NAME these bytes, executable, by rename; a running one keeps its file. Returns the
/// path.
Result<std::string> install_image(const std::string& folder, const std::string& name,
                                  std::span<const unsigned char> image);

}  // namespace sluice::drivers::exec
