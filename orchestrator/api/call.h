// Call: one request to the API on its way: what was asked, and how it is answered on Nomad's wire
// rules.
//
// Owner: Api::handle, for one request. Thread: the control loop. Answers are given once; whoever
// got an error from an answer returns (the client is gone).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http_server.h"
#include "core/json.h"
#include "core/result.h"
#include "orchestrator/acl.h"
#include "orchestrator/api/api.h"
#include "orchestrator/api/wire.h"
#include "orchestrator/server.h"

namespace sluice::orchestrator::api {

inline constexpr std::string_view kAnyNamespace = "*";

struct Route;

class Call {
 public:
  Call(ApiParts& parts, const HttpServerRequest& request, HttpResponseWriter& writer,
       std::vector<std::string> params);
  Call(const Call&) = delete;

  [[nodiscard]] Server& server() { return parts_.server; }
  [[nodiscard]] ApiParts& parts() { return parts_; }
  [[nodiscard]] const HttpServerRequest& request() const { return request_; }
  [[nodiscard]] HttpResponseWriter& writer() { return writer_; }
  [[nodiscard]] Executor& executor() { return parts_.env.executor; }

  // What was asked.
  [[nodiscard]] const std::string& param(size_t i) const { return params_[i]; }
  [[nodiscard]] size_t param_count() const { return params_.size(); }
  [[nodiscard]] std::string query(std::string_view name, std::string_view fallback = {}) const;
  /// `?x`, `?x=true`, `?x=1`.
  [[nodiscard]] bool query_on(std::string_view name) const;
  [[nodiscard]] std::string space() const { return query("namespace", "default"); }
  /// X-Nomad-Token, or the bearer of Authorization.
  [[nodiscard]] const std::string& token() const { return token_; }
  /// The accessor of that token; "" without ACLs.
  [[nodiscard]] std::string accessor_id();
  void use_token(std::string token) { token_ = std::move(token); }
  /// Whether the token may do that in the namespace, "*" being every one; always without ACLs.
  [[nodiscard]] bool allowed(AclLevel level, std::string_view space) const;
  /// The namespace of the record that the path names by its id, else the one that was asked for.
  [[nodiscard]] std::string record_space() const;
  /// Why the token may not make this call, or nullptr.
  const Error* refused_by(const Route& route);
  /// What is wrong with `index` or `wait`, of any call; "" where nothing is.
  [[nodiscard]] std::string_view wrong_wait() const;
  /// The body as JSON; an empty one is an empty object.
  [[nodiscard]] Result<Json> body() const;

  /// The newest state, or for a blocking query (`index`, `wait`) the first one in which any of the
  /// topics has changed since. Sets the index of the answer.
  Task<Snapshot> snapshot(std::vector<Topic> topics);

  // Answers.
  void set_index(uint64_t index) { index_ = index; }
  /// JSON text with status 200.
  Task<void> reply(std::string json);
  /// What `write` puts into a JsonWriter.
  template <class Write>
  Task<void> reply_with(Write write) {
    std::string text;
    {
      JsonWriter out(text);
      write(out);
    }
    return reply(std::move(text));
  }
  Task<void> reply_empty() { return reply("{}"); }
  /// Plain text, as Nomad's errors are.
  Task<void> refuse(int status, std::string text);
  Task<void> refuse(const Error& error) { return refuse(status_of(error.code), error.message); }
  /// Of a write that made an evaluation.
  Task<void> reply_eval(const EvalReply& reply);
  Task<void> reply_registered(const RegisterReply& reply);
  void add_common_headers();

 private:
  ApiParts& parts_;
  const HttpServerRequest& request_;
  HttpResponseWriter& writer_;
  std::vector<std::string> params_;
  uint64_t index_ = 0;
  std::string token_;
  std::optional<Error> refused_;
};

/// The handler of a call that has a body: one that cannot be read is refused, and so is one with a
/// member of another kind than `members` says.
template <Task<void> (*handler)(Call& call, const Json& body), const auto&... members>
Task<void> with_body(Call& call) {
  const Result<Json> body = call.body();
  if (!body) co_return co_await call.refuse(body.error());
  Result<void> kinds;
  if (!((kinds = check_kinds(*body, members)) && ...)) {
    co_return co_await call.refuse(kinds.error());
  }
  co_await handler(call, *body);
}

}  // namespace sluice::orchestrator::api
