#include "drivers/exec/images.h"

// Made by the linker from the executable (meson.build).
extern "C" const unsigned char _binary_drivers_exec_sluice_supervisor_start[];
extern "C" const unsigned char _binary_drivers_exec_sluice_supervisor_end[];

namespace sluice::drivers::exec {

std::span<const unsigned char> supervisor_image() {
  return {_binary_drivers_exec_sluice_supervisor_start, _binary_drivers_exec_sluice_supervisor_end};
}

}  // namespace sluice::drivers::exec
