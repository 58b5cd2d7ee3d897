// The strict scan in front of the head parser: finds the lines of a head and refuses what no head
// may hold: a CR without LF, an LF without CR, NUL and other controls (RFC 9112 2.2, RFC 9110 5.5).
//
// 64 bytes a step with SSE2, which every x86-64 has; elsewhere a byte a step (the tests compare the
// two). Owner, thread: none; pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::http1 {

/// Bit i says that byte i of the block is of that kind.
struct ScanMasks {
  uint64_t lf;
  uint64_t cr;
  uint64_t control;  // any other control than HTAB, CR, LF; DEL too
};

/// Classifies 64 bytes at p.
ScanMasks scan_block(const char* p);
/// The same a byte at a time: the reference for tests, and for machines without SSE2.
ScanMasks scan_block_plain(const char* p);
/// Classifies the last n < 64 bytes, reading only those.
ScanMasks scan_tail(const char* p, size_t n);

}  // namespace sluice::http1
