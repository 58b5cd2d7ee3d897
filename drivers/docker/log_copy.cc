#include "drivers/docker/log_copy.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>

#include "core/json.h"

namespace sluice::drivers {
namespace {

// Two streams' messages may pass one another by as much as Docker takes to write one.
constexpr int64_t kStreamSkewNs = 5'000'000'000;
constexpr size_t kCompareBytes = 64 * 1024;
constexpr size_t kMaxStateBytes = 4096;

Json to_json_value(const LogStreamCopy::Position& position) {
  return Json::object({{"time_ns", position.time_ns},
                       {"same", position.same},
                       {"file", position.place.file},
                       {"offset", position.place.offset}});
}

LogStreamCopy::Position position_of(const Json& json) {
  return {.time_ns = json.get_int("time_ns"),
          .same = json.get_int("same"),
          .place = {json.get_int("file"), json.get_int("offset")}};
}

/// "" where the file is missing: a task that has no checkpoint yet.
Result<std::string> read_small_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return std::string();
  if (fd < 0) return fail_errno(errno, "open " + path);
  std::string text(kMaxStateBytes, '\0');
  ssize_t got = ::read(fd, text.data(), text.size());
  int error = errno;
  ::close(fd);
  if (got < 0) return fail_errno(error, "read " + path);
  text.resize(static_cast<size_t>(got));
  return text;
}

/// Whole or not at all as seen by a later process; the page cache is enough for that.
Result<void> replace_small_file(const std::string& path, std::string_view text) {
  std::string next = path + ".new";
  int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno(errno, "open " + next);
  ssize_t written = ::write(fd, text.data(), text.size());
  int error = written < 0 ? errno : ENOSPC;
  ::close(fd);
  if (written != static_cast<ssize_t>(text.size())) return fail_errno(error, "write " + next);
  if (::rename(next.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename " + next);
  return {};
}

LogFilesOptions files_of(const LogCopyOptions& options, std::string_view stream) {
  return {.folder = options.folder,
          .base = fmt::format("{}.{}", options.task, stream),
          .max_files = std::max<int64_t>(options.max_files, 1),
          .max_file_bytes = std::max<int64_t>(options.max_file_bytes, 1024)};
}

}  // namespace

void LogStreamCopy::replay_from(const Position& position) {
  position_ = position;
  aligning_ = position.time_ns != 0;
  seen_same_ = 0;
  // A place behind the end: the files lost their tail (a power cut); there is nothing to compare.
  matched_ = std::min(position.place, files_.end());
  position_.place = matched_;
  done_ = 0;
}

/// How many bytes of `text` are what the files hold at matched_, which moves on.
Result<size_t> LogStreamCopy::match(std::string_view text) {
  size_t equal = 0;
  while (equal < text.size() && matched_ < files_.end()) {
    size_t want = std::min(text.size() - equal, kCompareBytes);
    auto held = files_.read(matched_, want);
    if (!held) return pass(held);
    if (held->empty() || *held != text.substr(equal, held->size())) {
      // Not what Docker said before: its own files were rotated away while nobody read, or changed.
      // From here on all is new; nothing is lost, a part may be there twice.
      ++mismatches_;
      matched_ = files_.end();
      return size_t{0};
    }
    equal += held->size();
  }
  return equal;
}

/// Docker gives each line a time of its own, in nanoseconds; only the parts of a long one share
/// theirs.
bool LogStreamCopy::is_last_line(int64_t time_ns, std::string_view text) const {
  return time_ns != 0 && time_ns == position_.time_ns && text.ends_with('\n') &&
         std::hash<std::string_view>()(text) == last_hash_;
}

Result<void> LogStreamCopy::message(int64_t time_ns, std::string_view text, int64_t now_ns) {
  skipped_ = false;
  if (!aligning_ && done_ == 0 && is_last_line(time_ns, text)) return {};
  if (!aligning_ && time_ns < position_.time_ns && position_.time_ns <= now_ns) replay();
  if (aligning_) {
    if (time_ns < position_.time_ns) return {};
    if (time_ns == position_.time_ns && seen_same_ < position_.same) {
      if (++seen_same_ == position_.same) aligning_ = false;
      return {};
    }
    aligning_ = false;
    skipped_ = time_ns > position_.time_ns;
  }
  bool there = false;
  if (done_ == 0 && matched_ < files_.end()) {
    auto equal = match(text);
    if (!equal) return pass(equal);
    done_ = *equal;
    there = done_ == text.size();
  }
  if (!there) {
    std::string_view rest = text.substr(done_);
    Result<void> written = files_.append(rest);
    done_ = text.size() - rest.size();
    if (!written) return written;
    matched_ = files_.end();
  }
  done_ = 0;
  position_.same = time_ns == position_.time_ns ? position_.same + 1 : 1;
  position_.time_ns = time_ns;
  position_.place = matched_;
  last_hash_ = std::hash<std::string_view>()(text);
  return {};
}

LogCopy::LogCopy(LogCopyOptions options)
    : options_(std::move(options)),
      state_path_(fmt::format("{}/.{}.docker-logs", options_.folder, options_.task)),
      streams_{LogStreamCopy(files_of(options_, "stdout")),
               LogStreamCopy(files_of(options_, "stderr"))} {}

LogCopy::~LogCopy() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<std::unique_ptr<LogCopy>> LogCopy::open(LogCopyOptions options) {
  std::unique_ptr<LogCopy> copy(new LogCopy(std::move(options)));
  std::string lock = copy->state_path_ + ".lock";
  copy->lock_fd_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (copy->lock_fd_ < 0) return fail_errno(errno, "open " + lock);
  if (::flock(copy->lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::kConflict, "{} is held by another copier", lock);
  }
  for (LogStreamCopy& stream : copy->streams_) {
    if (auto opened = stream.open(); !opened) return pass(opened);
  }
  if (auto loaded = copy->load(); !loaded) return pass(loaded);
  return copy;
}

Result<void> LogCopy::load() {
  auto text = read_small_file(state_path_);
  if (!text) return pass(text);
  auto state = parse_json(*text);
  // A checkpoint that cannot be read is that of a torn disk: begin as with a new container.
  bool ours = state && state->get_string("container") == options_.container_id &&
              state->find("stdout") && state->find("stderr");
  if (ours) {
    newest_ns_ = state->get_int("newest_ns");
    streams_[0].replay_from(position_of(*state->find("stdout")));
    streams_[1].replay_from(position_of(*state->find("stderr")));
    return {};
  }
  for (LogStreamCopy& stream : streams_) stream.replay_from({.place = stream.end()});
  return checkpoint();
}

std::string LogCopy::state_text() const {
  return to_json(Json::object({{"container", options_.container_id},
                               {"newest_ns", newest_ns_},
                               {"stdout", to_json_value(streams_[0].position())},
                               {"stderr", to_json_value(streams_[1].position())}}));
}

Result<void> LogCopy::checkpoint() {
  std::string text = state_text();
  if (text == saved_state_) return {};
  if (auto saved = replace_small_file(state_path_, text); !saved) return saved;
  saved_state_ = std::move(text);
  return {};
}

std::string LogCopy::begin_stream() {
  pending_.clear();
  int64_t since_ns = INT64_MAX;
  for (LogStreamCopy& stream : streams_) {
    stream.replay();
    since_ns = std::min(since_ns, std::max(stream.position().time_ns, newest_ns_ - kStreamSkewNs));
  }
  since_ns_ = since_ns;
  if (since_ns <= 0) return "";
  return fmt::format("{}.{:09}", since_ns / 1'000'000'000, since_ns % 1'000'000'000);
}

Result<void> LogCopy::frame(LogStream stream, std::string_view payload, int64_t now_ns) {
  TimedMessage message = parse_timed_message(payload);
  LogStreamCopy& copy = streams_[stream == LogStream::kStdout ? 0 : 1];
  int64_t file = copy.end().file;
  // What comes without a time (the daemon's own complaint) counts as of the last one.
  int64_t time_ns = message.time_ns != 0 ? message.time_ns : copy.position().time_ns;
  const int64_t before_ns = copy.position().time_ns;
  if (auto written = copy.message(time_ns, message.text, now_ns); !written) return written;
  // A stream that was quiet for long has its last message before the replay.
  if (copy.skipped() && before_ns >= since_ns_) gap_ = Gap{before_ns, time_ns};
  newest_ns_ = std::max(newest_ns_, time_ns);
  // The checkpoint's file must not be among those that are removed.
  if (copy.end().file != file) return checkpoint();
  return {};
}

Result<void> LogCopy::feed(std::string_view bytes, int64_t now_ns) {
  pending_.append(bytes);
  size_t used = 0;
  Result<void> result;
  while (true) {
    std::string_view rest = std::string_view(pending_).substr(used);
    Result<std::optional<LogFrame>> next =
        options_.tty ? Result<std::optional<LogFrame>>(parse_log_line(rest))
                     : parse_log_frame(rest);
    if (!next) {
      result = pass(next);
      break;
    }
    if (!*next) break;
    result = frame((*next)->stream, (*next)->payload, now_ns);
    if (!result) break;
    used += (*next)->size;
  }
  pending_.erase(0, used);
  return result;
}

}  // namespace sluice::drivers
