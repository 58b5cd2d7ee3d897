// AuthGate: whether a request's credentials pass a scheme, as one reactor knows it: verdicts of a
// while ago from its cache, others from the password pool, which takes time.
//
// The cache is keyed by a digest of scheme, list of users and credentials under a secret of the
// process, so it holds no password, and a list that was read again starts it anew.
//
// Owner: Worker. Thread: the reactor's, but for construction. Limits: the constants below.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/http1.h"
#include "core/reactor.h"
#include "proxy/auth.h"

namespace sluice::proxy {

class Forward;

/// A check that is under way. The exchange that ends before it sets `forward` to null.
class PasswordCheck {
 public:
  explicit PasswordCheck(Forward& asks) : forward(&asks) {}
  Forward* forward;
};

class AuthGate {
 public:
  static constexpr size_t kCached = 1024;
  static constexpr int64_t kGoodMs = 300'000;
  static constexpr int64_t kBadMs = 10'000;
  static constexpr size_t kCredentialBytes = 1024;

  /// `secret` is the process's. The registry outlives this.
  AuthGate(Reactor& reactor, AuthRegistry& registry, std::array<uint64_t, 2> secret);

  void set_users(size_t scheme, std::shared_ptr<const UserList> users);

  enum class Verdict : uint8_t {
    kGood,
    kBad,
    kLater,  // Forward::on_password_checked follows
    kBusy,   // too many wait
  };
  struct Answer {
    Verdict verdict;
    const AuthScheme* scheme;  // null: there is none of that name, which is kBad
    PasswordCheck* check;      // of kLater
  };
  Answer check(std::string_view scheme, const http1::Head& head, Forward& forward);

 private:
  using Key = std::array<uint8_t, 32>;
  struct Entry {
    Key key{};
    int64_t until_ms = 0;
    bool good = false;
  };
  Key key_of(size_t scheme, std::string_view credentials) const;
  Entry& entry_of(const Key& key);
  /// The checks of one key, which are one for the pool.
  struct Pending {
    Key key;
    std::vector<std::unique_ptr<PasswordCheck>> checks;
  };
  PasswordCheck* start(size_t scheme, std::string_view credentials, const Key& key,
                       Forward& forward);
  bool submit(size_t scheme, std::string_view credentials, const Key& key);
  void settle(const Key& key, bool good);

  Reactor& reactor_;
  AuthRegistry& registry_;
  const std::array<uint64_t, 2> secret_;
  struct Users {
    std::shared_ptr<const UserList> list;
    uint64_t generation = 0;
  };
  std::vector<Users> users_;
  std::vector<Entry> cache_;
  std::vector<Pending> pending_;  // at most as many as the pool lets wait
};

}  // namespace sluice::proxy
