// Http1Client's compressed responses: what the upstream sends goes through an encoder into chunks.
//
// The encoder's output is built only while the socket takes it, so that backpressure is the same as
// of a plain response; the stream's end may have to wait for that, and then State::kFlushing does.
#include "core/check.h"
#include "proxy/compress.h"
#include "proxy/http1_client.h"
#include "proxy/worker.h"

namespace sluice::proxy {

namespace {

constexpr size_t kRunBytes = 16 * 1024;   // put in at once
constexpr size_t kRoomBytes = 20 * 1024;  // taken out at once

}  // namespace

bool Http1Client::begin_compressed(const http1::Head& head, ResponseEdit& edit) {
  const Regex* types = worker_.options().gzip_types;
  if (types == nullptr || !is_compressible(head, *types)) return false;
  edit.vary = true;
  // A 1.0 client is sent no chunks, and of HEAD there is nothing to compress.
  if (!accepts_gzip_ || minor_version_ == 0 || head.framing == http1::Framing::kNone) return false;
  edit.gzip = true;
  gzip_ = worker_.gzip_pool().take();
  gzip_ends_ = false;
  return true;
}

// One call of the encoder, and its output into a chunk. False: the socket takes no more.
bool Http1Client::compress(std::string_view& run, GzipEncoder::Until until, bool& more) {
  if (blocked_ || (out_.size() > kGatherBytes && !Http1Io::flush())) return false;
  char room[kRoomBytes];
  const GzipEncoder::Step step = gzip_->encode(run, room, sizeof room, until);
  run.remove_prefix(step.consumed);
  more = step.more;
  if (step.produced == 0) return true;
  const size_t taken = Http1Io::write_body({room, step.produced});
  CHECK(taken == step.produced);  // there is room for one run of this size
  return true;
}

size_t Http1Client::write_compressed(std::string_view run) {
  if (write_failed_) return run.size();
  std::string_view rest = run.substr(0, kRunBytes);
  const size_t size = rest.size();
  bool more = false;
  while (!rest.empty() && compress(rest, GzipEncoder::Until::kFull, more)) {
  }
  return size - rest.size();
}

// What was put in goes out; at the end, its foot and the last chunk. False: it has to wait.
bool Http1Client::push_compressed() {
  if (write_failed_) {
    gzip_.reset();
    return true;
  }
  std::string_view nothing;
  bool more = gzip_ends_ || gzip_->holds();
  while (more) {
    const auto until = gzip_ends_ ? GzipEncoder::Until::kEnd : GzipEncoder::Until::kSync;
    if (!compress(nothing, until, more)) return false;
  }
  if (!gzip_ends_) return true;
  worker_.gzip_pool().give(std::move(gzip_));
  // Trailers are of the bytes that were not sent, such as their digest.
  Http1Io::end_body({});
  return true;
}

}  // namespace sluice::proxy
