// The verbs that show what the API says as it says it: `operator api`, `operator metrics`,
// `agent-info`.
#include <fmt/format.h>

#include <algorithm>

#include "core/http1.h"
#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr size_t kInputBytes = 16 * 1024 * 1024;  // what the API takes

constexpr FlagSpec kApiFlags[] = {
    {"X", Kind::kValue, "the method; GET, or PUT with an input"},
    {"H", Kind::kValue, "a header, \"Name: value\"; may be repeated"},
    {"filter", Kind::kValue, "an expression that the answer's entries have to fulfil"},
    {"verbose", Kind::kBool,
     "the request, and status and headers of the answer, on standard error"},
};
constexpr FlagSpec kMetricsFlags[] = {
    {"format", Kind::kValue, "prometheus: as Prometheus reads them"},
    {"pretty", Kind::kBool, "indent the JSON"},
    {"json", Kind::kBool, "the same"},
    {"t", Kind::kValue, "print by a template such as {{.Gauges}}"},
};
constexpr FlagSpec kInfoFlags[] = {
    {"json", Kind::kBool, "print the API's JSON"},
    {"t", Kind::kValue, "print by a template such as {{.config}}"},
};

/// A path that may lack its first slash, or be a whole URL: what is below the host counts.
std::string path_of(std::string word) {
  if (const size_t scheme = word.find("://"); scheme != std::string::npos) {
    const size_t slash = word.find('/', scheme + 3);
    word = slash == std::string::npos ? "/" : word.substr(slash);
  }
  return word.starts_with('/') ? word : "/" + word;
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// "Name: value".
Result<void> add_header(HttpHeaders& headers, const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string::npos || has_control(text)) {
    return fail(Code::kInvalid, "-H {}: expected \"Name: value\"", text);
  }
  const std::string name = text.substr(0, colon);
  for (const char* ours : {"Host", "Content-Length", "Transfer-Encoding", "Connection"}) {
    if (http1::iequals(name, ours)) {
      return fail(Code::kInvalid, "-H {}: {} is not yours to set", text, ours);
    }
  }
  const size_t value = text.find_first_not_of(' ', colon + 1);
  headers.add(name, value == std::string::npos ? "" : text.substr(value));
  return {};
}

/// The call that the words and flags say, without its body. A query of the path's own stays.
Result<HttpRequest> call_of(const Session& session, std::string method) {
  const Flags& flags = session.flags();
  std::string path = path_of(flags.words()[0]);
  if (has_control(path) || path.contains(' ')) {
    return fail(Code::kInvalid, "{}: a space or control character has to be escaped (%20)", path);
  }
  std::string asked;
  if (const size_t mark = path.find('?'); mark != std::string::npos) {
    asked = path.substr(mark + 1);
    path.resize(mark);
  }
  if (method.empty() || method.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != method.npos) {
    return fail(Code::kInvalid, "-X {}: expected a method such as PUT", method);
  }
  Query query;
  if (const auto filter = flags.value("filter")) query.emplace_back("filter", *filter);
  HttpRequest request = session.request(std::move(method), path, query);
  if (!asked.empty()) request.target += (request.target.contains('?') ? "&" : "?") + asked;
  for (const std::string& header : flags.all("H")) {
    Result<void> added = add_header(request.headers, header);
    if (!added) return pass(added);
  }
  return request;
}

void show_request(Session& session, const HttpRequest& request) {
  std::string text = fmt::format("> {} {}\n", request.method, request.target);
  for (const auto& [name, value] : request.headers.fields) {
    const bool secret = name == "X-Nomad-Token" || name == "Authorization";
    text += fmt::format("> {}: {}\n", name, secret ? "(not shown)" : value);
  }
  session.env().terminal.err(text);
}

void show_answer(Session& session, const HttpExchange& answer) {
  std::string text = fmt::format("< {}\n", answer.status());
  for (const auto& [name, value] : answer.headers().fields)
    text += fmt::format("< {}: {}\n", name, value);
  session.env().terminal.err(text);
}

Task<int> api(Session& session) {
  const auto& words = session.flags().words();
  const bool has_input = words.size() > 1;
  Result<HttpRequest> request =
      call_of(session, session.flags().value_or("X", has_input ? "PUT" : "GET"));
  if (!request) co_return session.error(request.error().message);
  if (has_input) {
    Result<std::string> input = words[1] == "-"
                                    ? session.env().terminal.read_all(kInputBytes)
                                    : session.env().disk.read_file(words[1], kInputBytes);
    if (!input) co_return session.error("reading the input", input.error());
    request->body = *std::move(input);
    if (request->headers.find("Content-Type") == nullptr) {
      request->headers.add("Content-Type", "application/json");
    }
  }
  const bool verbose = session.verbose();
  if (verbose) show_request(session, *request);
  auto exchange = co_await session.open(*std::move(request));
  if (!exchange) co_return session.error("making the call", exchange.error());
  if (verbose) show_answer(session, **exchange);
  while (true) {  // as it comes: an event stream does not end
    Result<std::string> piece = co_await (*exchange)->read();
    if (!piece) co_return session.error("reading the answer", piece.error());
    if (piece->empty()) break;
    session.env().terminal.out(*piece);
  }
  co_return (*exchange)->status() < 400 ? 0 : 1;
}

Task<int> metrics(Session& session) {
  const std::string format = session.flags().value_or("format", "");
  if (format == "prometheus") {
    auto exchange = co_await session.stream("/v1/metrics", {{"format", format}});
    if (!exchange) co_return session.error("getting metrics", exchange.error());
    Result<std::string> text = co_await (*exchange)->read_all(kInputBytes);
    if (!text) co_return session.error("getting metrics", text.error());
    session.print(*text);
    co_return 0;
  }
  if (!format.empty() && format != "json") {
    co_return session.error(fmt::format("-format={}: expected prometheus or json", format));
  }
  Result<ApiReply> reply = co_await session.get("/v1/metrics");
  if (!reply) co_return session.error("getting metrics", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  session.print(to_json(reply->body, session.flags().is_on("pretty") ? 4 : 0));
  co_return 0;
}

Task<int> agent_info(Session& session) {
  Result<ApiReply> reply = co_await session.get("/v1/agent/self");
  if (!reply) co_return session.error("querying agent info", reply.error());
  int code = 0;
  if (session.print_raw(reply->body, code)) co_return code;
  const Json& stats = at(reply->body, "stats");
  for (const std::string& part : sorted_keys(stats)) {
    session.print(part);
    for (const std::string& key : sorted_keys(at(stats, part))) {
      session.print(fmt::format("  {} = {}", key, at(stats, part).get_string(key)));
    }
  }
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "operator api",
     .usage = "[options] <path> [<input>]",
     .summary = "Make a call of the API and print what it answers",
     .help =
         "<path> is one such as /v1/jobs, with its query; address, token and certificates are\n"
         "those of every verb. <input> is a file, or \"-\" for standard input. The exit code is\n"
         "1 where the answer is an error.",
     .flags = kApiFlags,
     .run = api,
     .min_words = 1,
     .max_words = 2},
    {.name = "operator metrics",
     .usage = "[options]",
     .summary = "Print the agent's metrics",
     .help = "",
     .flags = kMetricsFlags,
     .run = metrics},
    {.name = "agent-info",
     .usage = "[options]",
     .summary = "Print what the agent says of itself",
     .help = "",
     .flags = kInfoFlags,
     .run = agent_info},
};

}  // namespace

std::span<const Command> api_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
