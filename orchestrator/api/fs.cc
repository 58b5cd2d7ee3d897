// The calls on the files of an allocation: ls, stat, cat, readat, stream.
#include <fmt/format.h>

#include <charconv>
#include <memory>

#include "core/base64.h"
#include "core/scope.h"
#include "orchestrator/api/alloc_files.h"
#include "orchestrator/api/client.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/fields_json.h"

namespace sluice::orchestrator::api {
namespace {

constexpr size_t kPieceBytes = 64 * 1024;
constexpr int64_t kFollowPollMs = 200;
constexpr int64_t kHeartbeatMs = 1'000;

using FilePtr = std::shared_ptr<AllocFile>;

/// Runs `work` on the pool and waits for it.
template <class F>
auto on_the_pool(Call& call, F work) {
  return on_pool(call.executor(), std::move(work));
}

Task<Result<FilePtr>> open_file(Call& call) {
  const std::string id = call.param(0);
  Result<LocalAllocation> local = local_alloc(call, id);
  if (!local) co_return pass(local);
  auto open = [root = alloc_folder(call, id), path = call.query("path", "/")] {
    return AllocFile::open(root, path);
  };
  Result<AllocFile> file = co_await on_the_pool(call, std::move(open));
  if (!file) co_return pass(file);
  co_return std::make_shared<AllocFile>(std::move(*file));
}

Result<uint64_t> read_number(const Call& call, std::string_view name, uint64_t fallback) {
  const std::string text = call.query(name);
  if (text.empty()) return fallback;
  int64_t value = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kInvalid, "error parsing {}: \"{}\" is no whole number", name, text);
  }
  // "If limit is <= 0, there is no limit" is what the client library promises.
  return value <= 0 ? fallback : static_cast<uint64_t>(value);
}

void write_info(JsonWriter& out, const FileInfo& info) {
  out.begin_object();
  out.member("Name", info.name).member("IsDir", info.is_folder).member("Size", info.size);
  out.member("FileMode", info.mode);
  out.member("ModTime", format_time(TimeStamp{info.modified_ns}));
  out.member("ContentType", info.is_folder ? "" : "application/octet-stream");
  out.end_object();
}

Task<void> list_files(Call& call) {
  Result<FilePtr> file = co_await open_file(call);
  if (!file) {
    co_await call.refuse(file.error());
    co_return;
  }
  auto list = [file = *file]() -> Result<std::vector<FileInfo>> {
    Result<FileInfo> info = file->info();
    if (info && !info->is_folder) return std::vector<FileInfo>{*info};
    return file->list();
  };
  Result<std::vector<FileInfo>> files = co_await on_the_pool(call, std::move(list));
  if (!files) {
    co_await call.refuse(files.error());
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) {
    out.begin_array();
    for (const FileInfo& info : *files) write_info(out, info);
    out.end_array();
  });
}

Task<void> stat_file(Call& call) {
  Result<FilePtr> file = co_await open_file(call);
  Result<FileInfo> info = file ? (*file)->info() : Result<FileInfo>(pass(file));
  if (!info) {
    co_await call.refuse(info.error());
    co_return;
  }
  co_await call.reply_with([&](JsonWriter& out) { write_info(out, *info); });
}

/// Sends bytes [offset, offset + limit) of the file as they are.
Task<void> send_bytes(Call& call, uint64_t offset, uint64_t limit) {
  Result<FilePtr> file = co_await open_file(call);
  if (!file) {
    co_await call.refuse(file.error());
    co_return;
  }
  HttpResponseWriter& writer = call.writer();
  while (true) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(limit, kPieceBytes));
    auto read = [file = *file, offset, wanted] { return file->read(offset, wanted); };
    Result<std::string> bytes = co_await on_the_pool(call, std::move(read));
    if (!bytes && !writer.started()) {
      co_await call.refuse(bytes.error());
      co_return;
    }
    if (!bytes) co_return;  // cut short, so that the client sees that it is not whole
    if (!writer.started()) {
      // Never rendered by a browser as a page of ours: a task wrote it.
      writer.add_header("X-Content-Type-Options", "nosniff");
      if (!co_await writer.start(200, "application/octet-stream")) co_return;
    }
    if (bytes->empty()) break;
    if (!co_await writer.write(*bytes)) co_return;
    offset += bytes->size();
    limit -= bytes->size();
    if (limit == 0) break;
  }
  (void)co_await writer.finish();
}

Task<void> cat_file(Call& call) {
  return send_bytes(call, 0, UINT64_MAX);
}

Task<void> read_at(Call& call) {
  const Result<uint64_t> offset = read_number(call, "offset", 0);
  const Result<uint64_t> limit = read_number(call, "limit", UINT64_MAX);
  if (!offset || !limit) {
    co_await call.refuse(offset ? limit.error() : offset.error());
    co_return;
  }
  co_await send_bytes(call, *offset, *limit);
}

std::string frame_of(const std::string& bytes, const std::string& path, uint64_t offset) {
  return to_json(
      Json::object({{"Data", base64_encode(bytes)}, {"File", path}, {"Offset", offset}}));
}

Task<void> stream_file(Call& call) {
  const Result<uint64_t> asked = read_number(call, "offset", 0);
  const std::string path = call.query("path");
  const bool from_end = call.query("origin", "start") == "end";
  const bool follow = call.query("follow", "true") != "false";
  if (!asked || path.empty()) {
    co_await call.refuse(400, asked ? "must provide a file name" : asked.error().message);
    co_return;
  }
  Result<FilePtr> file = co_await open_file(call);
  Result<FileInfo> info = file ? (*file)->info() : Result<FileInfo>(pass(file));
  if (info && info->is_folder) info = fail(Code::kInvalid, "file \"{}\" is a directory", path);
  if (!info) {
    co_await call.refuse(info.error());
    co_return;
  }
  uint64_t offset = from_end ? info->size - std::min(*asked, info->size) : *asked;
  HttpResponseWriter& writer = call.writer();
  writer.cancel_on_close();
  if (!co_await writer.start(200, "application/json")) co_return;
  int64_t quiet_ms = 0;
  while (true) {
    auto read = [file = *file, offset] { return file->read(offset, kPieceBytes); };
    Result<std::string> bytes = co_await on_the_pool(call, std::move(read));
    if (!bytes) co_return;
    if (!bytes->empty()) {
      offset += bytes->size();
      quiet_ms = 0;
      if (!co_await writer.write(frame_of(*bytes, path, offset))) co_return;
      continue;
    }
    if (!follow) break;
    co_await sleep_for(call.executor(), kFollowPollMs);
    quiet_ms += kFollowPollMs;
    if (quiet_ms >= kHeartbeatMs) {
      quiet_ms = 0;
      if (!co_await writer.write("{}")) co_return;
    }
  }
  (void)co_await writer.finish();
}

constexpr Route kRoutes[] = {
    {"GET", "/v1/client/fs/ls/:id", list_files},      {"GET", "/v1/client/fs/stat/:id", stat_file},
    {"GET", "/v1/client/fs/cat/:id", cat_file},       {"GET", "/v1/client/fs/readat/:id", read_at},
    {"GET", "/v1/client/fs/stream/:id", stream_file},
};

}  // namespace

std::span<const Route> file_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
