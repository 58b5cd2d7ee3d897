#include "core/http1_scan.h"

#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace sluice::http1 {

ScanMasks scan_block_plain(const char* p) {
  ScanMasks masks{0, 0, 0};
  for (int i = 0; i < 64; ++i) {
    const auto byte = static_cast<unsigned char>(p[i]);
    const uint64_t bit = uint64_t{1} << i;
    if (byte == '\n') {
      masks.lf |= bit;
    } else if (byte == '\r') {
      masks.cr |= bit;
    } else if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
      masks.control |= bit;
    }
  }
  return masks;
}

#ifdef __SSE2__

ScanMasks scan_block(const char* p) {
  const __m128i lf = _mm_set1_epi8('\n');
  const __m128i cr = _mm_set1_epi8('\r');
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i low = _mm_set1_epi8(0x1f);
  ScanMasks masks{0, 0, 0};
  uint64_t any = 0;
  uint64_t tabs = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    // min(v, 0x1f) == v says v <= 0x1f without sign trouble above 0x7f.
    const __m128i control =
        _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, low), v), _mm_cmpeq_epi8(v, del));
    const auto mask = [i](__m128i m) {
      return uint64_t{static_cast<uint32_t>(_mm_movemask_epi8(m))} << (16 * i);
    };
    any |= mask(control);
    masks.lf |= mask(_mm_cmpeq_epi8(v, lf));
    masks.cr |= mask(_mm_cmpeq_epi8(v, cr));
    tabs |= mask(_mm_cmpeq_epi8(v, tab));
  }
  masks.control = any & ~(masks.lf | masks.cr | tabs);
  return masks;
}

#else

ScanMasks scan_block(const char* p) {
  return scan_block_plain(p);
}

#endif

ScanMasks scan_tail(const char* p, size_t n) {
  alignas(16) char block[64];
  std::memset(block, ' ', sizeof block);
  std::memcpy(block, p, n);
  return scan_block(block);
}

}  // namespace sluice::http1
