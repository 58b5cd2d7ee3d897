// Session: what a verb of the command line works with: the API at some address, the terminal, the
// clock.
//
// Owner: run_cli (cli.h), for one verb. Thread: the executor's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/disk.h"
#include "core/executor.h"
#include "core/http_client.h"
#include "core/json.h"
#include "core/network.h"
#include "core/resolving_network.h"
#include "core/result.h"
#include "core/task.h"
#include "core/tls/network.h"
#include "orchestrator/cli/flags.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {

/// Where a verb writes and what it may ask. The real one is in cli.cc; tests collect.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  [[nodiscard]] virtual bool out_is_terminal() const = 0;
  /// One line of standard input without its newline; nullopt at its end. Blocks.
  virtual std::optional<std::string> read_line() = 0;
  /// All of standard input. Blocks.
  virtual Result<std::string> read_all(size_t limit_bytes) = 0;

  // For a command on the other side (`alloc exec`). Without a terminal: the defaults.
  [[nodiscard]] virtual bool in_is_terminal() const { return false; }
  /// What there is of standard input, at least a byte; "" at its end. Blocks; any thread.
  virtual std::string read_some() { return {}; }
  struct Size {
    uint16_t rows = 24, columns = 80;
    bool operator==(const Size&) const = default;
  };
  [[nodiscard]] virtual Size size() const { return {}; }
  /// Keys as they are typed, neither echoed nor acted on; false gives the lines back.
  virtual void set_raw(bool) {}
  /// Ends the process at once where a thread still waits for standard input.
  virtual void leave(int) {}
};

struct CliEnv {
  Executor& executor;
  sluice::Network& network;
  Disk& disk;
  Terminal& terminal;
  std::function<std::string(const char* name)> environment;  // "" where it is not set
  int32_t (*utc_offset_s)(int64_t unix_s) = nullptr;
  int64_t poll_ms = 250;  // how often a monitor looks again
};

/// "http://127.0.0.1:4646", "https://nomad.internal", "[::1]:4646", "unix:///run/sluice.sock". A
/// host name stands in `ip`: the session's network looks it up.
Result<Address> parse_api_address(std::string_view url);

using Query = std::vector<std::pair<std::string, std::string>>;

struct ApiReply {
  Json body;
  uint64_t index = 0;      // X-Nomad-Index
  std::string next_token;  // X-Nomad-NextToken: of a list that goes on
};

class Session {
 public:
  /// Reads -address, -token, -namespace and -region and their environment variables.
  static Result<std::unique_ptr<Session>> open(CliEnv& env, const Flags& flags);

  [[nodiscard]] const Flags& flags() const { return flags_; }
  [[nodiscard]] CliEnv& env() { return env_; }
  [[nodiscard]] const Style& style() const { return style_; }
  [[nodiscard]] Clock clock() const { return {env_.executor.wall_ns(), env_.utc_offset_s}; }
  [[nodiscard]] const std::string& address_text() const { return address_text_; }
  [[nodiscard]] bool verbose() const { return flags_.is_on("verbose"); }
  [[nodiscard]] std::string id(std::string_view full) const { return short_id(full, verbose()); }

  /// A line, or several.
  void print(std::string_view text);
  /// On standard error; returns the exit code 1, so that `co_return s.error(...)` reads well.
  int error(std::string_view text);
  /// `Error <doing>: <why>`.
  int error(std::string_view doing, const Error& why);

  // The API. A status other than 200 is an error whose message is the body; 404 is kNotFound.
  Task<Result<ApiReply>> get(std::string path, Query query = {});
  Task<Result<ApiReply>> put(std::string path, Json body, Query query = {});
  Task<Result<ApiReply>> remove(std::string path, Query query = {});
  /// An open answer of whatever status.
  Task<Result<std::unique_ptr<HttpExchange>>> open(HttpRequest request);
  /// An open answer, for what streams.
  Task<Result<std::unique_ptr<HttpExchange>>> stream(std::string path, Query query = {});
  /// A blocking query: answers once the resource has changed after `index`.
  Task<Result<ApiReply>> get_after(std::string path, uint64_t index, Query query = {});

  /// `-json` and `-t`: prints the value so and returns true if one was asked for.
  bool print_raw(const Json& value, int& exit_code);
  /// Asks; true on exactly "y". -yes answers for the user.
  bool confirm(std::string_view question);
  std::string target(std::string_view path, const Query& query) const;
  HttpRequest request(std::string method, std::string_view path, const Query& query) const;
  HttpClient& client() { return *client_; }
  /// For calls elsewhere; takes host names.
  sluice::Network& network() { return network_; }

 private:
  Session(CliEnv& env, const Flags& flags)
      : env_(env), flags_(flags), network_(env.executor, env.network) {}
  Task<Result<ApiReply>> send(HttpRequest request);
  Result<void> use_tls(const Address& address);
  static Result<std::string> render(std::string_view text, const Json& value);
  Error explain(Error error) const;

  CliEnv& env_;
  const Flags& flags_;
  Style style_;
  std::string address_text_;
  std::string token_;
  std::string namespace_;
  std::string region_;
  ResolvingNetwork network_;
  std::unique_ptr<tls::TlsNetwork> tls_network_;  // of an https address
  std::unique_ptr<HttpClient> client_;
};

}  // namespace sluice::orchestrator::cli
