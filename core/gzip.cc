#include "core/gzip.h"

#include <zlib.h>

#include "core/check.h"

namespace sluice {

GzipEncoder::GzipEncoder() : stream_(std::make_unique<z_stream_s>()) {
  constexpr int kGzipWindow = 15 + 16;  // 32 KiB, and gzip's head and foot
  constexpr int kMemory = 8;
  CHECK(deflateInit2(stream_.get(), kLevel, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) ==
        Z_OK);
}

GzipEncoder::~GzipEncoder() {
  deflateEnd(stream_.get());
}

void GzipEncoder::reset() {
  CHECK(deflateReset(stream_.get()) == Z_OK);
  holds_ = false;
}

GzipEncoder::Step GzipEncoder::encode(std::string_view in, char* out, size_t room, Until until) {
  z_stream_s& z = *stream_;
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = reinterpret_cast<Bytef*>(out);
  z.avail_out = static_cast<uInt>(room);
  int flush = Z_NO_FLUSH;
  switch (until) {
    case Until::kFull: break;
    case Until::kSync: flush = Z_SYNC_FLUSH; break;
    case Until::kEnd: flush = Z_FINISH; break;
  }
  const int result = deflate(&z, flush);
  // Z_BUF_ERROR is no progress: nothing was left to do.
  CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
  if (!in.empty()) holds_ = true;
  const bool full = z.avail_out == 0;
  const bool more = until == Until::kEnd ? result != Z_STREAM_END : until == Until::kSync && full;
  if (until != Until::kFull && !more) holds_ = false;
  return {in.size() - z.avail_in, room - z.avail_out, more};
}

std::unique_ptr<GzipEncoder> GzipPool::take() {
  if (free_.empty()) return std::make_unique<GzipEncoder>();
  std::unique_ptr<GzipEncoder> encoder = std::move(free_.back());
  free_.pop_back();
  return encoder;
}

void GzipPool::give(std::unique_ptr<GzipEncoder> encoder) {
  if (free_.size() >= kKept) return;
  encoder->reset();
  free_.push_back(std::move(encoder));
}

}  // namespace sluice
