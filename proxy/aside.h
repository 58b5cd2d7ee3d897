// Aside: what an exchange keeps beyond its turn where more than forwarding is asked of it: limits
// that count it, a place in a queue, a password being checked, a cookie to set, an id. Most
// exchanges have none, and pay a pointer for that.
//
// Owner: the Forward, from its worker's slab. Thread: the reactor's.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/intrusive_list.h"
#include "proxy/table_reader.h"
#include "proxy/traffic_limits.h"

namespace sluice::proxy {

class Forward;
class PasswordCheck;

struct Aside {
  explicit Aside(Forward& forward) : owner(forward) {}

  Forward& owner;
  ListNode wait_node;
  int64_t wait_until_ms = 0;
  Ref<RouteLimits> waits_for;  // null: it does not wait
  Ref<RouteLimits> entered;    // where the request is counted
  uint64_t address_hash = 0;
  std::string_view authorised;     // the auth scheme that was passed; the registry's text
  PasswordCheck* check = nullptr;  // under way
  TableReader::Pin pin;            // keeps the cookie's name
  std::string_view cookie;
  uint64_t cookie_id = 0;
  uint64_t request_number = 0;  // what the request id is made of; 0: none yet
};

}  // namespace sluice::proxy
