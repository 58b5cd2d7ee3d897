#include "proxy/http1_io.h"

#include "core/check.h"

namespace sluice::proxy {

std::string_view BodySource::peek(std::string_view bytes) {
  while (run_size_ == 0 && !bad_ && !reader_.done()) {
    const http1::BodyReader::Step step = reader_.read(bytes.substr(scanned_));
    if (step.state == http1::BodyReader::State::kBad) {
      bad_ = true;
      break;
    }
    if (!step.data.empty()) {
      run_at_ = static_cast<uint32_t>(step.data.data() - bytes.data());
      run_size_ = static_cast<uint32_t>(step.data.size());
    }
    scanned_ += static_cast<uint32_t>(step.consumed);
    if (step.consumed == 0) break;
  }
  return bytes.substr(run_size_ != 0 ? run_at_ : 0, run_size_);
}

Http1Io::Fill Http1Io::fill(size_t want, size_t most) {
  if (!channel_.is_open()) return Fill::kFailed;
  if (!channel_.readable()) return Fill::kWait;
  if (reads_ >= kReadsATurn) {
    reactor_.resume_later(*this);
    return Fill::kWait;
  }
  ++reads_;
  const size_t room = in_.make_room(want);
  if (room == 0) return Fill::kFull;
  const IoResult got = channel_.read(in_.room(), room < most ? room : most);
  switch (got.state) {
    case IoState::kOk: in_.commit(got.bytes); return Fill::kGot;
    case IoState::kBlocked: in_.release_if_empty(); return Fill::kWait;
    case IoState::kEnd: in_.release_if_empty(); return Fill::kEnd;
    case IoState::kError: in_.release_if_empty(); return Fill::kFailed;
  }
  return Fill::kFailed;
}

// The bytes are gone; the reading side learns of it next, behind whatever the peer still sent.
void Http1Io::fail_write() {
  write_failed_ = true;
  blocked_ = false;
  out_.clear();
  out_.release_if_empty();
  EventHandler::Ready ready{.readable = true, .writable = false, .closed = true, .error = true};
  channel_.note(ready);
  reactor_.resume_later(*this);
}

bool Http1Io::flush() {
  if (out_.empty()) return true;
  if (blocked_ || !channel_.is_open()) return false;
  const IoResult put = channel_.write(out_.data(), out_.size());
  if (put.state == IoState::kError) {
    fail_write();
    return true;
  }
  if (put.state == IoState::kOk) {
    out_.consume(put.bytes);
    sent_ = true;
  }
  if (!out_.empty()) {
    blocked_ = true;
    return false;
  }
  out_.release();
  return true;
}

size_t Http1Io::write_body(std::string_view run) {
  if (write_failed_) return run.size();
  if (blocked_) return 0;
  return chunked_out_ ? write_chunk(run) : write_raw(run);
}

size_t Http1Io::write_raw(std::string_view run) {
  if (run.size() <= kCopyBytes && out_.append(run)) return run.size();
  const iovec parts[2] = {{out_.data(), out_.size()}, {const_cast<char*>(run.data()), run.size()}};
  const bool lead = !out_.empty();
  const size_t size = out_.size() + run.size();
  const IoResult put =
      lead ? channel_.write(parts, 2, size) : channel_.write(run.data(), run.size());
  if (put.state == IoState::kError) {
    fail_write();
    return run.size();
  }
  const size_t sent = put.state == IoState::kOk ? put.bytes : 0;
  sent_ = sent_ || sent > 0;
  const size_t of_out = sent < out_.size() ? sent : out_.size();
  out_.consume(of_out);
  out_.release_if_empty();
  if (sent < size) blocked_ = true;
  return sent - of_out;
}

// A chunk is taken whole: its line is out before its payload is, so what the socket does not take
// is kept.
size_t Http1Io::write_chunk(std::string_view run) {
  constexpr size_t kMaxRun = 32 * 1024;  // so that what is kept always fits a block
  run = run.substr(0, kMaxRun);
  // Small chunks gather until the turn's end, but never so many that what must still fit behind
  // them, the rest of a chunk or trailers, would not.
  if (out_.size() > kGatherBytes && !flush()) return 0;
  if (write_failed_) return run.size();
  char line[http1::kMaxChunkHeader];
  const size_t line_size = http1::write_chunk_line(line, run.size());
  if (!out_.append({line, line_size})) return 0;
  if (run.size() <= kCopyBytes) {
    const bool fits = out_.append(run) && out_.append("\r\n");
    CHECK(fits);
    return run.size();
  }
  static char crlf[2] = {'\r', '\n'};
  const iovec parts[3] = {
      {out_.data(), out_.size()}, {const_cast<char*>(run.data()), run.size()}, {crlf, 2}};
  const size_t size = out_.size() + run.size() + 2;
  const IoResult put = channel_.write(parts, 3, size);
  if (put.state == IoState::kError) {
    fail_write();
    return run.size();
  }
  size_t sent = put.state == IoState::kOk ? put.bytes : 0;
  sent_ = sent_ || sent > 0;
  if (sent < size) blocked_ = true;
  const size_t of_out = sent < out_.size() ? sent : out_.size();
  out_.consume(of_out);
  sent -= of_out;
  if (sent < run.size()) {
    const bool fits = out_.append(run.substr(sent)) && out_.append("\r\n");
    CHECK(fits);
  } else if (sent < run.size() + 2) {
    const bool fits = out_.append(std::string_view(crlf, 2).substr(sent - run.size()));
    CHECK(fits);
  }
  out_.release_if_empty();
  return run.size();
}

void Http1Io::end_body(std::string_view trailers) {
  if (!chunked_out_ || write_failed_) return;
  chunked_out_ = false;
  const bool fits = out_.append("0\r\n") && out_.append(trailers) && out_.append("\r\n");
  CHECK(fits);  // 8 KiB of trailers at most, behind 32 KiB of a chunk
}

BodyStream::Splice Http1Io::splice_from(uint64_t least, Channel*& channel, uint64_t& left) {
  if (channel_.tls() != nullptr) return BodyStream::Splice::kNo;  // what lies there is sealed
  // Bytes that were read go first, and a body's framing must have been looked at up to here.
  if (source_.has_run() || source_.scanned() != in_.size() || source_.bad())
    return BodyStream::Splice::kNo;
  left = source_.reader().payload_left();
  if (left < least || source_.ended()) return BodyStream::Splice::kNo;
  if (!channel_.readable()) return BodyStream::Splice::kNo;
  if (reads_ >= kReadsATurn) {
    reactor_.resume_later(*this);
    return BodyStream::Splice::kLater;
  }
  ++reads_;
  channel = &channel_;
  return BodyStream::Splice::kYes;
}

void Http1Io::spliced(uint64_t n, bool end) {
  source_.reader().skip(n);
  if (end && source_.reader().ends_at_close()) source_.end_at_close();
}

BodyStream::Splice Http1Io::splice_to(Channel*& channel) {
  if (chunked_out_ || write_failed_ || channel_.tls() != nullptr) return BodyStream::Splice::kNo;
  if (blocked_ || !flush()) return BodyStream::Splice::kLater;
  channel = &channel_;
  return BodyStream::Splice::kYes;
}

void Http1Io::close_channel(bool reset) {
  reactor_.cancel_resume(*this);
  reactor_.timers().remove(*this);
  if (reset) {
    channel_.reset(reactor_);
  } else {
    channel_.close(reactor_);
  }
  in_.release();
  out_.release();
}

}  // namespace sluice::proxy
