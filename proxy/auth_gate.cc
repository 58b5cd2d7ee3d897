#include "proxy/auth_gate.h"

#include <algorithm>
#include <cstring>

#include "core/base64.h"
#include "core/check.h"
#include "core/digest.h"
#include "core/http1_text.h"
#include "proxy/forward.h"

namespace sluice::proxy {

namespace {

// What follows "Basic" (RFC 7617 2); "" if that is not the scheme.
std::string_view credentials_of(const http1::Head& head) {
  const http1::Header* header = head.find(http1::Name::kAuthorization);
  if (header == nullptr) return {};
  const size_t space = header->value.find(' ');
  if (space == std::string_view::npos) return {};
  if (!http1::iequals(header->value.substr(0, space), "basic")) return {};
  return http1::trim(header->value.substr(space));
}

}  // namespace

AuthGate::AuthGate(Reactor& reactor, AuthRegistry& registry, std::array<uint64_t, 2> secret)
    : reactor_(reactor), registry_(registry), secret_(secret), cache_(kCached) {
  for (size_t i = 0; i < registry.schemes().size(); ++i) users_.push_back({registry.users(i), 0});
}

void AuthGate::set_users(size_t scheme, std::shared_ptr<const UserList> users) {
  users_[scheme].list = std::move(users);
  ++users_[scheme].generation;
}

AuthGate::Key AuthGate::key_of(size_t scheme, std::string_view credentials) const {
  std::array<char, 32 + kCredentialBytes> text;
  const uint64_t lead[4] = {secret_[0], secret_[1], scheme, users_[scheme].generation};
  std::memcpy(text.data(), lead, sizeof lead);
  std::memcpy(text.data() + sizeof lead, credentials.data(), credentials.size());
  return sha256({text.data(), sizeof lead + credentials.size()});
}

AuthGate::Entry& AuthGate::entry_of(const Key& key) {
  uint64_t place = 0;
  std::memcpy(&place, key.data(), sizeof place);
  return cache_[place % kCached];
}

AuthGate::Answer AuthGate::check(std::string_view scheme, const http1::Head& head,
                                 Forward& forward) {
  size_t index = 0;
  while (index < registry_.schemes().size() && registry_.schemes()[index].name != scheme) ++index;
  if (index == registry_.schemes().size()) return {Verdict::kBad, nullptr, nullptr};
  const AuthScheme& found = registry_.schemes()[index];
  const std::string_view credentials = credentials_of(head);
  if (credentials.empty() || credentials.size() > kCredentialBytes) {
    return {Verdict::kBad, &found, nullptr};
  }
  const Key key = key_of(index, credentials);
  const Entry& entry = entry_of(key);
  if (entry.until_ms > reactor_.now_ms() && entry.key == key) {
    return {entry.good ? Verdict::kGood : Verdict::kBad, &found, nullptr};
  }
  PasswordCheck* check = start(index, credentials, key, forward);
  return {check == nullptr ? Verdict::kBusy : Verdict::kLater, &found, check};
}

PasswordCheck* AuthGate::start(size_t scheme, std::string_view credentials, const Key& key,
                               Forward& forward) {
  auto pending = std::ranges::find(pending_, key, &Pending::key);
  if (pending == pending_.end()) {
    if (!submit(scheme, credentials, key)) return nullptr;
    pending_.push_back({key, {}});
    pending = pending_.end() - 1;
  }
  pending->checks.push_back(std::make_unique<PasswordCheck>(forward));
  return pending->checks.back().get();
}

bool AuthGate::submit(size_t scheme, std::string_view credentials, const Key& key) {
  const Result<std::string> text = base64_decode(credentials);
  const size_t colon = text ? text->find(':') : std::string::npos;
  const bool readable = colon != std::string::npos;
  const UserList& users = *users_[scheme].list;
  const std::string* hash = readable ? users.find(text->substr(0, colon)) : nullptr;
  return registry_.pool().submit(
      {.password = readable ? text->substr(colon + 1) : std::string(),
       .hash = hash == nullptr ? users.any_hash() : *hash,
       // Once the reactor has ended, no exchange of it is left to be told.
       .done = [this, key, known = hash != nullptr, reactor = &reactor_](bool good) {
         reactor->post([this, key, good = good && known] { settle(key, good); });
       }});
}

void AuthGate::settle(const Key& key, bool good) {
  Entry& entry = entry_of(key);
  entry.key = key;
  entry.good = good;
  entry.until_ms = reactor_.now_ms() + (good ? kGoodMs : kBadMs);
  const auto found = std::ranges::find(pending_, key, &Pending::key);
  CHECK(found != pending_.end());
  const Pending pending = std::move(*found);
  pending_.erase(found);
  for (const auto& check : pending.checks) {
    if (check->forward != nullptr) check->forward->on_password_checked();
  }
}

}  // namespace sluice::proxy
