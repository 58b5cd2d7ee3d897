// `alloc exec`: a command in a running task, with this terminal as its own.
#include <fmt/format.h>

#include <array>

#include "core/base64.h"
#include "core/scope.h"
#include "core/websocket.h"
#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

using Kind = FlagSpec::Kind;

constexpr FlagSpec kFlags[] = {
    {"task", Kind::kValue, "the task; needed where the allocation has several"},
    {"job", Kind::kBool, "the first argument is a job: any running allocation of it"},
    {"i", Kind::kBool, "pass standard input on (-i=false: the command gets none)"},
    {"t", Kind::kBool, "give the command a terminal (the default where this is one)"},
    {"e", Kind::kValue, "the character that begins an escape, on a terminal (~; none)"},
};

constexpr int64_t kLookAtSizeMs = 250;
constexpr int64_t kHeartbeatMs = 10'000;
constexpr size_t kReadBytes = 16 * 1024;

struct Connection {
  std::unique_ptr<Stream> stream;
  WebSocketReader reader{false};
  Random& masks;
  Event free;
  bool busy = false;

  Connection(Executor& executor, Random& drawn, std::unique_ptr<Stream> raw, std::string early)
      : stream(std::move(raw)), masks(drawn), free(executor) {
    reader.feed(early);
  }
  Task<Result<void>> send(WebSocketKind kind, std::string payload) {
    while (busy) co_await free.wait();
    busy = true;
    Result<void> sent = co_await stream->write(websocket_frame(kind, payload, &masks));
    busy = false;
    free.pulse();
    co_return sent;
  }
  Task<Result<void>> send(const Json& message) {
    return send(WebSocketKind::kText, to_json(message));
  }
};

/// `~.` at the start of a line ends the session, as ssh does it.
class Escape {
 public:
  explicit Escape(char mark) : mark_(mark) {}

  /// What is passed on; `leave` is set where the user wants to go.
  std::string filter(std::string_view typed, bool& leave) {
    if (mark_ == '\0') return std::string(typed);
    std::string out;
    for (const char c : typed) {
      if (pending_) {
        pending_ = false;
        if (c == '.') {
          leave = true;
          return out;
        }
        if (c != mark_) out += mark_;
      } else if (line_start_ && c == mark_) {
        pending_ = true;
        continue;
      }
      out += c;
      line_start_ = c == '\r' || c == '\n';
    }
    return out;
  }

 private:
  char mark_;
  bool line_start_ = true;
  bool pending_ = false;
};

Task<void> send_input(Session& session, Connection& to, Escape escape, Event& leave) {
  for (;;) {
    Terminal& terminal = session.env().terminal;
    auto read = [&terminal] { return terminal.read_some(); };
    const std::string typed = co_await on_pool(session.env().executor, read);
    if (typed.empty()) break;
    bool gone = false;
    const std::string bytes = escape.filter(typed, gone);
    if (!bytes.empty()) {
      Json input = Json::object({{"data", base64_encode(bytes)}});
      if (!co_await to.send(Json::object({{"stdin", std::move(input)}}))) co_return;
    }
    if (gone) {
      leave.set();
      co_return;
    }
  }
  (void)co_await to.send(Json::object({{"stdin", Json::object({{"close", true}})}}));
}

Task<void> send_size(Session& session, Connection& to, bool terminal) {
  Terminal::Size said{0, 0};
  int64_t quiet_ms = 0;
  for (;;) {
    const Terminal::Size now = session.env().terminal.size();
    if (terminal && now != said) {
      said = now;
      Json size = Json::object({{"height", now.rows}, {"width", now.columns}});
      if (!co_await to.send(Json::object({{"tty_size", std::move(size)}}))) co_return;
    }
    co_await sleep_for(session.env().executor, kLookAtSizeMs);
    quiet_ms += kLookAtSizeMs;
    if (quiet_ms < kHeartbeatMs) continue;
    quiet_ms = 0;
    if (!co_await to.send(Json::object())) co_return;
  }
}

/// The command's exit code, or why there is none.
Task<Result<int64_t>> receive(Session& session, Connection& from) {
  for (;;) {
    Result<std::optional<WebSocketMessage>> message = from.reader.next();
    if (!message) co_return pass(message);
    if (!*message) {
      std::array<char, kReadBytes> buffer;
      Result<size_t> got = co_await from.stream->read(buffer);
      if (!got) co_return pass(got);
      if (*got == 0) co_return fail(Code::kClosed, "the agent closed the connection");
      from.reader.feed({buffer.data(), *got});
      continue;
    }
    WebSocketMessage& one = **message;
    if (one.kind == WebSocketKind::kPing) {
      (void)co_await from.send(WebSocketKind::kPong, std::move(one.payload));
      continue;
    }
    if (one.kind == WebSocketKind::kClose) {
      const std::string why = one.payload.size() > 2 ? one.payload.substr(2) : "closed";
      co_return fail(Code::kClosed, "{}", why);
    }
    Result<Json> json = parse_json(one.payload);
    if (!json) continue;
    for (const char* name : {"stdout", "stderr"}) {
      const Json* output = json->find(name);
      if (output == nullptr) continue;
      Result<std::string> bytes = base64_decode(output->get_string("data"));
      if (!bytes || bytes->empty()) continue;
      if (std::string_view(name) == "stdout") {
        session.env().terminal.out(*bytes);
      } else {
        session.env().terminal.err(*bytes);
      }
    }
    if (!json->get_bool("exited")) continue;
    const Json* result = json->find("result");
    co_return result == nullptr ? 0 : result->get_int("exit_code");
  }
}

Task<Result<std::unique_ptr<Connection>>> dial(Session& session, Random& random, std::string id,
                                               Query query) {
  HttpRequest request = session.request("GET", "/v1/client/allocation/" + id + "/exec", query);
  std::string nonce;
  for (int i = 0; i < 2; ++i) {
    const uint64_t drawn = random.next();
    nonce.append(reinterpret_cast<const char*>(&drawn), sizeof drawn);
  }
  const std::string key = base64_encode(nonce);
  request.headers.add("Connection", "Upgrade");
  request.headers.add("Upgrade", "websocket");
  request.headers.add("Sec-WebSocket-Version", "13");
  request.headers.add("Sec-WebSocket-Key", key);
  Result<std::unique_ptr<HttpExchange>> exchange =
      co_await session.client().open(std::move(request));
  if (!exchange) co_return pass(exchange);
  if ((*exchange)->status() != 101) {
    Result<std::string> said = co_await (*exchange)->read_all(4096);
    co_return fail(Code::kInvalid, "{} ({})", said.value_or(""), (*exchange)->status());
  }
  const std::string* accept = (*exchange)->headers().find("Sec-WebSocket-Accept");
  if (accept == nullptr || *accept != websocket_accept(key)) {
    co_return fail(Code::kInvalid, "what answers there is no WebSocket");
  }
  std::string early;
  std::unique_ptr<Stream> stream = (*exchange)->take_stream(early);
  co_return std::make_unique<Connection>(session.env().executor, random, std::move(stream),
                                         std::move(early));
}

Task<int> alloc_exec(Session& session) {
  const Flags& flags = session.flags();
  Result<Json> alloc = co_await find_alloc_for(session, flags.words()[0], flags.is_on("job"));
  if (!alloc) co_return session.error(alloc.error().message);
  const std::vector<std::string> command(flags.words().begin() + 1, flags.words().end());
  const std::string mark = flags.value_or("e", "~");
  if (mark != "none" && mark.size() != 1) {
    co_return session.error("-e wants one character, or none");
  }
  Terminal& terminal = session.env().terminal;
  const bool input = !flags.has("i") || flags.is_on("i");
  const bool both = terminal.in_is_terminal() && terminal.out_is_terminal();
  const bool tty = flags.has("t") ? flags.is_on("t") : input && both;
  Json words = Json::array();
  for (const std::string& word : command) words.push(word);
  SystemRandom random;
  auto dialled = co_await dial(session, random, std::string(alloc->get_string("ID")),
                               {{"task", flags.value_or("task", "")},
                                {"tty", tty ? "true" : "false"},
                                {"command", to_json(words)}});
  if (!dialled) co_return session.error("executing the command", dialled.error());
  Connection& connection = **dialled;
  Event leave(session.env().executor);
  std::optional<Result<int64_t>> code;
  {
    Scope scope(session.env().executor);
    const bool raw = tty && terminal.in_is_terminal();
    if (raw) terminal.set_raw(true);
    if (input) {
      const char escape = raw && mark != "none" ? mark[0] : '\0';
      scope.spawn(send_input(session, connection, Escape(escape), leave));
    } else {
      Json nothing = Json::object({{"stdin", Json::object({{"close", true}})}});
      (void)co_await connection.send(nothing);
    }
    scope.spawn(send_size(session, connection, tty));
    code = co_await until(session.env().executor, receive(session, connection), leave);
    terminal.set_raw(false);
  }
  int exit_code = 0;
  if (code && !*code) {
    exit_code = session.error("executing the command", code->error());
  } else if (code) {
    exit_code = static_cast<int>(**code);
  }
  terminal.leave(exit_code);
  co_return exit_code;
}

constexpr Command kCommands[] = {
    {.name = "alloc exec",
     .usage = "[options] <allocation> <command> [<args>...]",
     .summary = "Run a command in a running task",
     .help = "On a terminal, ~. at the start of a line ends the session.",
     .flags = kFlags,
     .run = alloc_exec,
     .min_words = 2,
     .max_words = 1024,
     .words_before_rest = 2},
};

}  // namespace

std::span<const Command> exec_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
