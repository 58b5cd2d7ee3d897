// `alloc fs`, the files of an allocation, and `alloc checks`, what its services' checks last said.
#include <fmt/format.h>

#include "orchestrator/cli/command.h"
#include "orchestrator/cli/frames.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kFilesFlags[] = {
    {"H", Kind::kBool, "sizes and times for machines"},
    {"job", Kind::kBool, "the argument is a job; takes one of its running allocations"},
    {"stat", Kind::kBool, "the file's entry instead of its content"},
    {"f", Kind::kBool, "follow"},
    {"tail", Kind::kBool, "the end only"},
    {"n", Kind::kCount, "with -tail: this many lines (10)"},
    {"c", Kind::kCount, "with -tail: this many bytes"},
    {"verbose", Kind::kBool, "full ids"},
};
constexpr FlagSpec kChecksFlags[] = {
    {"verbose", Kind::kBool, "accepted, without effect"},
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{range .}}{{.Check}} {{.Status}}{{end}}"},
};

Row file_row(Session& session, const Json& file, bool is_entry) {
  const int64_t size = file.get_int("Size");
  const bool raw = session.flags().is_on("H");
  std::string name(file.get_string("Name"));
  if (is_entry && at(file, "IsDir") == Json(true)) name += '/';
  const auto modified = parse_time(file.get_string("ModTime"));
  return {std::string(file.get_string("FileMode")),
          raw ? std::to_string(size) : size_text(static_cast<uint64_t>(size)),
          raw || !modified ? std::string(file.get_string("ModTime"))
                           : time_text(*modified, session.clock()),
          std::move(name)};
}

/// What `-n` lines, or `-c` bytes, of the end are: the offset from the end to begin at.
constexpr int64_t kTailBytes = 64 * 1024;

Task<int> print_tail(Session& session, std::string id, std::string path, int64_t size) {
  const Flags& flags = session.flags();
  const int64_t back = flags.has("c") ? flags.number_or("c", 0) : kTailBytes;
  const Query query{{"path", path}, {"offset", std::to_string(std::max<int64_t>(size - back, 0))}};
  auto exchange = co_await session.stream("/v1/client/fs/readat/" + id, query);
  if (!exchange) co_return session.error("reading the file", exchange.error());
  Result<std::string> text = co_await (*exchange)->read_all(static_cast<size_t>(back) + kTailBytes);
  if (!text) co_return session.error("reading the file", text.error());
  const int64_t lines = flags.number_or("n", 10);
  session.env().terminal.out(flags.has("c") ? *text : last_lines(*text, lines).value_or(*text));
  if (!flags.is_on("f")) co_return 0;
  co_return co_await print_frames(session, "/v1/client/fs/stream/" + id,
                                  {{"path", path}, {"origin", "end"}, {"offset", "0"}},
                                  "reading the file");
}

/// The file's bytes as they are.
Task<int> print_file(Session& session, std::string id, std::string path) {
  auto exchange = co_await session.stream("/v1/client/fs/cat/" + id, {{"path", path}});
  if (!exchange) co_return session.error("reading the file", exchange.error());
  while (true) {
    Result<std::string> piece = co_await (*exchange)->read();
    if (!piece) co_return session.error("reading the file", piece.error());
    if (piece->empty()) co_return 0;
    session.env().terminal.out(*piece);
  }
}

Task<int> alloc_fs(Session& session) {
  const Flags& flags = session.flags();
  Result<Json> alloc = co_await find_alloc_for(session, flags.words()[0], flags.is_on("job"));
  if (!alloc) co_return session.error(alloc.error().message);
  const std::string id(alloc->get_string("ID"));
  const std::string path = flags.words().size() > 1 ? flags.words()[1] : "/";
  const Query query{{"path", path}};
  Result<ApiReply> file = co_await session.get("/v1/client/fs/stat/" + id, query);
  if (!file) co_return session.error("reading the file", file.error());
  const bool is_folder = at(file->body, "IsDir") == Json(true);
  std::vector<Row> rows{{"Mode", "Size", "Modified Time", "Name"}};
  if (flags.is_on("stat")) {
    rows.push_back(file_row(session, file->body, false));
  } else if (is_folder) {
    Result<ApiReply> list = co_await session.get("/v1/client/fs/ls/" + id, query);
    if (!list) co_return session.error("listing the folder", list.error());
    for (const Json& each : items(list->body)) rows.push_back(file_row(session, each, true));
  } else if (flags.is_on("tail") || flags.has("n") || flags.has("c")) {
    co_return co_await print_tail(session, id, path, file->body.get_int("Size"));
  } else if (flags.is_on("f")) {
    co_return co_await print_frames(session, "/v1/client/fs/stream/" + id,
                                    {{"path", path}, {"origin", "start"}, {"offset", "0"}},
                                    "reading the file");
  } else {
    co_return co_await print_file(session, id, path);
  }
  session.print(columns(rows));
  co_return 0;
}

std::string check_text(const Json& check, const Clock& clock) {
  const int64_t seconds = check.get_int("Timestamp");
  return key_values({{"ID", std::string(check.get_string("ID"))},
                     {"Name", std::string(check.get_string("Check"))},
                     {"Group", std::string(check.get_string("Group"))},
                     {"Task", std::string(check.get_string("Task"))},
                     {"Service", std::string(check.get_string("Service"))},
                     {"Status", std::string(check.get_string("Status"))},
                     {"Mode", std::string(check.get_string("Mode"))},
                     {"Since", time_text(seconds * 1'000'000'000, clock)},
                     {"Output", std::string(check.get_string("Output"))}});
}

Task<int> alloc_checks(Session& session) {
  Result<Json> alloc = co_await find_alloc_for(session, session.flags().words()[0], false);
  if (!alloc) co_return session.error(alloc.error().message);
  const std::string id(alloc->get_string("ID"));
  Result<ApiReply> reply = co_await session.get("/v1/client/allocation/" + id + "/checks");
  if (!reply) co_return session.error("querying checks", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  const std::vector<std::string> ids = sorted_keys(reply->body);
  if (ids.empty()) {
    session.print("No checks found for allocation");
    co_return 0;
  }
  session.print(fmt::format("Status of {} Service Checks", ids.size()));
  for (const std::string& each : ids) {
    session.print("");
    session.print(check_text(at(reply->body, each), session.clock()));
  }
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "alloc fs",
     .usage = "[options] <allocation> [<path>]",
     .summary = "Show the files of an allocation",
     .help = "A folder is listed, a file printed. <path> begins at the allocation's folder:\n"
             "alloc/logs, or TASK/local. With -job, the first argument is a job.",
     .flags = kFilesFlags,
     .run = alloc_fs,
     .min_words = 1,
     .max_words = 2},
    {.name = "alloc checks",
     .usage = "[options] <allocation>",
     .summary = "Show what the checks of an allocation's services last said",
     .help = "",
     .flags = kChecksFlags,
     .run = alloc_checks,
     .min_words = 1,
     .max_words = 1},
};

}  // namespace

std::span<const Command> file_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
