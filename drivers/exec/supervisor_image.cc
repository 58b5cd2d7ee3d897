#include "drivers/exec/images.h"

namespace sluice::drivers::exec {

std::span<const unsigned char> supervisor_image() {
  alignas(16) static const unsigned char kBytes[] = {
#embed "drivers/exec/sluice-supervisor.bin"
  };
  return kBytes;
}

}  // namespace sluice::drivers::exec
