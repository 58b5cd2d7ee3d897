#include "drivers/exec/images.h"

namespace sluice::drivers::exec {

std::span<const unsigned char> keeper_image() {
  alignas(16) static const unsigned char kBytes[] = {
#embed "drivers/exec/sluice-keeper.bin"
  };
  return kBytes;
}

}  // namespace sluice::drivers::exec
