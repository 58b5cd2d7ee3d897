// `alloc exec`: a command in a running task, over a WebSocket.
//
// In, as text: {"stdin":{"data":B64,"close":true}}, {"tty_size":{"height":H,"width":W}}, {} as a
// heartbeat. Out: {"stdout":{"data":B64}}, {"stdout":{"close":true}}, the same of stderr, and at
// the end {"exited":true,"result":{"exit_code":N}}.
#include <fmt/format.h>

#include "core/base64.h"
#include "core/scope.h"
#include "core/websocket.h"
#include "orchestrator/api/access.h"
#include "orchestrator/api/client.h"
#include "orchestrator/api/routes.h"
#include "orchestrator/api/wire.h"

namespace sluice::orchestrator::api {
namespace {

constexpr size_t kReadBytes = 16 * 1024;
constexpr size_t kCommandWords = 1024;
constexpr int64_t kHandshakeMs = 10'000;

/// The socket's two sides. One frame is written at a time: output and answers to pings meet here.
class Socket {
 public:
  Socket(Executor& executor, Stream& stream, std::string early)
      : stream_(stream), reader_(true), free_(executor) {
    reader_.feed(early);
  }

  Task<Result<void>> send(WebSocketKind kind, std::string payload) {
    while (busy_) co_await free_.wait();
    busy_ = true;
    Result<void> sent = co_await stream_.write(websocket_frame(kind, payload));
    busy_ = false;
    free_.pulse();
    co_return sent;
  }

  Task<Result<void>> send(const Json& message) {
    return send(WebSocketKind::kText, to_json(message));
  }

  /// The next message that says something; pings are answered. nullopt: the peer is gone.
  Task<std::optional<Json>> receive() {
    for (;;) {
      Result<std::optional<WebSocketMessage>> message = reader_.next();
      if (!message) {
        constexpr uint16_t kProtocolError = 1002;
        (void)co_await send(WebSocketKind::kClose,
                            websocket_close_payload(kProtocolError, message.error().message));
        co_return std::nullopt;
      }
      if (!*message) {
        std::array<char, kReadBytes> buffer;
        Result<size_t> got = co_await stream_.read(buffer);
        if (!got || *got == 0) co_return std::nullopt;
        reader_.feed({buffer.data(), *got});
        continue;
      }
      WebSocketMessage& one = **message;
      switch (one.kind) {
        case WebSocketKind::kClose: co_return std::nullopt;
        case WebSocketKind::kPong: continue;
        case WebSocketKind::kPing: {
          Result<void> sent = co_await send(WebSocketKind::kPong, std::move(one.payload));
          if (!sent) co_return std::nullopt;
          continue;
        }
        case WebSocketKind::kText:
        case WebSocketKind::kBinary: break;
      }
      Result<Json> json = parse_json(one.payload);
      if (!json || !json->is_object()) continue;  // as the reference: what is no frame is nothing
      co_return *std::move(json);
    }
  }

 private:
  Stream& stream_;
  WebSocketReader reader_;
  bool busy_ = false;
  Event free_;
};

Task<void> follow_input(Socket& socket, ExecSession& session, Event& gone) {
  for (;;) {
    std::optional<Json> message = co_await socket.receive();
    if (!message) break;
    if (const Json* size = message->find("tty_size"); size != nullptr && size->is_object()) {
      const auto number = [&](const char* name) {
        return static_cast<uint16_t>(std::clamp<int64_t>(size->get_int(name), 0, 65535));
      };
      (void)co_await session.resize(number("height"), number("width"));
    }
    const Json* input = message->find("stdin");
    if (input == nullptr || !input->is_object()) continue;
    Result<std::string> bytes = base64_decode(input->get_string("data"));
    if (bytes && !bytes->empty()) {
      // A command that reads nothing more is its own affair; it ends or is ended.
      (void)co_await session.write(*bytes);
    }
    if (input->get_bool("close")) (void)session.end_input();
  }
  gone.set();
}

/// Everything the command prints, then its exit code. False: the peer is gone.
Task<bool> follow_output(Socket& socket, ExecSession& session) {
  for (;;) {
    Result<std::optional<ExecSession::Piece>> piece = co_await session.read();
    if (!piece || !*piece) break;
    const char* name = (*piece)->errors ? "stderr" : "stdout";
    Json body = (*piece)->bytes.empty() ? Json::object({{"close", true}})
                                        : Json::object({{"data", base64_encode((*piece)->bytes)}});
    Json frame = Json::object();
    frame.set(name, std::move(body));
    if (!co_await socket.send(frame)) co_return false;
  }
  Result<int64_t> code = co_await session.wait();
  Json result = Json::object();
  if (code) {
    result.set("exit_code", *code);
  } else {
    result.set("exit_code", 1);
    (void)co_await socket.send(Json::object(
        {{"stderr", Json::object({{"data", base64_encode(code.error().message + "\n")}})}}));
  }
  (void)co_await socket.send(Json::object({{"exited", true}, {"result", std::move(result)}}));
  constexpr uint16_t kNormal = 1000;
  (void)co_await socket.send(WebSocketKind::kClose, websocket_close_payload(kNormal, ""));
  co_return true;
}

Result<ExecRequest> read_request(const Call& call) {
  ExecRequest request;
  request.terminal = call.query_on("tty");
  Result<Json> words = parse_json(call.query("command", "[]"));
  if (!words || !words->is_array() || words->size() == 0) {
    return fail(Code::kInvalid, "command must be a JSON list of its words");
  }
  if (words->size() > kCommandWords) {
    return fail(Code::kLimit, "a command of more than {} words", kCommandWords);
  }
  for (const Json& word : words->as_array()) {
    if (!word.is_string()) return fail(Code::kInvalid, "command must be a JSON list of strings");
    request.command.push_back(word.as_string());
  }
  return request;
}

/// Its only task where none is named.
Result<std::string> task_name(const Call& call, AllocRunner& runner) {
  std::string name = call.query("task");
  if (name.empty()) {
    if (runner.tasks().size() != 1) {
      return fail(Code::kInvalid, "the allocation has several tasks; name one");
    }
    return runner.tasks().front()->name();
  }
  if (runner.task(name) == nullptr) return fail(Code::kNotFound, "task \"{}\" not found", name);
  return name;
}

/// Why nothing is run stands in the socket's last frame: clients show that to their users, and an
/// answer instead of the socket as a failure of the connection.
Task<void> refuse(Socket& socket, const Error& error) {
  constexpr int kOfHttp = 4000;  // of the codes that are free for applications, as Nomad has them
  const auto code = static_cast<uint16_t>(kOfHttp + status_of(error.code));
  (void)co_await socket.send(WebSocketKind::kClose, websocket_close_payload(code, error.message));
}

/// Browsers cannot set headers: the token comes first. False: nothing came.
Task<bool> receive_token(Call& call, Socket& socket) {
  auto first = [](Socket& on) -> Task<Result<std::optional<Json>>> {
    co_return co_await on.receive();
  };
  auto said = co_await with_timeout(call.executor(), kHandshakeMs, first(socket));
  if (!said || !*said) co_return false;
  call.use_token(std::string((*said)->get_string("auth_token")));
  co_return true;
}

Task<Result<std::unique_ptr<ExecSession>>> start_command(Call& call) {
  if (!call.allowed(AclLevel::kWrite, call.record_space())) {
    co_return fail(Code::kDenied, "Permission denied");
  }
  Result<AllocRunner*> runner = running_alloc(call, call.param(0));
  if (!runner) co_return pass(runner);
  Result<std::string> name = task_name(call, **runner);
  if (!name) co_return pass(name);
  Result<ExecRequest> wanted = read_request(call);
  if (!wanted) co_return pass(wanted);
  Result<std::unique_ptr<ExecSession>> session =
      co_await (*runner)->task(*name)->exec(*std::move(wanted));
  if (!session) co_return pass(session);
  call.parts().log.info("exec: a command in task {} of alloc {}", *name,
                        call.param(0).substr(0, 8));
  co_return session;
}

Task<void> exec(Call& call) {
  const HttpServerRequest& request = call.request();
  const std::string* key = request.headers.find("Sec-WebSocket-Key");
  const std::string* upgrade = request.headers.find("Upgrade");
  if (key == nullptr || upgrade == nullptr || !http1::iequals(*upgrade, "websocket")) {
    co_await call.refuse(400, "this call is a WebSocket's: an Upgrade is missing");
    co_return;
  }
  const bool late_token = call.query_on("ws_handshake");
  if (!late_token && !call.allowed(AclLevel::kWrite, call.record_space())) {
    co_await call.refuse(403, "Permission denied");
    co_return;
  }
  std::string early;
  Result<Stream*> stream = co_await call.writer().upgrade(
      fmt::format(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: {}\r\n\r\n",
          websocket_accept(*key)),
      early);
  if (!stream) co_return;
  Socket socket(call.executor(), **stream, std::move(early));
  if (late_token && !co_await receive_token(call, socket)) co_return;
  Result<std::unique_ptr<ExecSession>> session = co_await start_command(call);
  if (!session) {
    co_await refuse(socket, session.error());
    co_return;
  }
  Event gone(call.executor());
  Scope input(call.executor());
  input.spawn(follow_input(socket, **session, gone));
  (void)co_await until(call.executor(), follow_output(socket, **session), gone);
}

constexpr Route kRoutes[] = {{"GET", "/v1/client/allocation/:id/exec", exec}};

}  // namespace

std::span<const Route> exec_routes() {
  return kRoutes;
}

}  // namespace sluice::orchestrator::api
