// Auth: the schemes that a route's auth= names, from `-proxy.auth`, and their users from htpasswd
// files that are read again when they change.
//
// Owner: the balancer; outlives the proxy's reactors. Threads: the control loop's; what reactors
// see (schemes, a UserList) never changes.
//
// Limits: the constants below.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/disk.h"
#include "core/executor.h"
#include "core/log.h"
#include "core/result.h"
#include "core/task.h"
#include "proxy/password_pool.h"

namespace sluice::proxy {

/// `name=x;type=basic;file=/path;realm=y;refresh=5s`
struct AuthSpec {
  std::string name;
  std::string file;
  std::string realm;       // the name, if it was not given
  int64_t refresh_ms = 0;  // 0: the file is read once
};
/// A comma separates schemes. Fails with the scheme and the option in the message.
Result<std::vector<AuthSpec>> parse_auth_specs(std::string_view text);

/// Who may pass, by name. Immutable.
class UserList {
 public:
  static constexpr size_t kFileBytes = size_t{16} << 20;

  /// Lines `name:hash`; what is empty or begins with # is passed by. A line that is wrong is left
  /// out, and `problems` says why.
  static UserList parse(std::string_view text, std::vector<std::string>& problems);

  /// Null: nobody of that name.
  [[nodiscard]] const std::string* find(std::string_view user) const;
  [[nodiscard]] size_t size() const { return hashes_.size(); }
  /// Any hash of the list: checking a password of nobody takes as long as one of somebody.
  [[nodiscard]] const std::string& any_hash() const { return any_hash_; }

 private:
  std::unordered_map<std::string, std::string> hashes_;
  std::string any_hash_ = "{SHA}";
};

struct AuthScheme {
  std::string name;
  std::string challenge;  // the value of WWW-Authenticate
};

class AuthRegistry {
 public:
  using Changed = std::function<void(size_t scheme, std::shared_ptr<const UserList> users)>;

  /// Fails if a file cannot be read.
  static Result<std::unique_ptr<AuthRegistry>> open(std::vector<AuthSpec> specs, Disk& disk,
                                                    Log& log);

  [[nodiscard]] const std::vector<AuthScheme>& schemes() const { return schemes_; }
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] const std::shared_ptr<const UserList>& users(size_t scheme) const {
    return users_[scheme];
  }
  PasswordPool& pool() { return pool_; }

  /// Reads each file again at its time, and tells of what has changed, until cancelled. A file that
  /// cannot be read changes nothing.
  Task<void> watch(Executor& executor, Changed changed);

 private:
  AuthRegistry(std::vector<AuthSpec> specs, Disk& disk, Log& log);
  Result<bool> load(size_t scheme);

  const std::vector<AuthSpec> specs_;
  Disk& disk_;
  Log& log_;
  std::vector<AuthScheme> schemes_;
  std::vector<std::shared_ptr<const UserList>> users_;
  std::vector<std::string> texts_;       // of the files, as they were last read
  std::vector<std::string> last_error_;  // said once
  PasswordPool pool_;
};

}  // namespace sluice::proxy
