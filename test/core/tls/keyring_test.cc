#include "core/tls/keyring.h"

#include "test/test.h"

namespace sluice::tls {

TEST_CASE("a keyring goes over with its keys, their order and their age") {
  constexpr int64_t kHourMs = 3'600'000;
  Keyring old(0);
  const TicketKey first = old.newest();
  old.rotate(Keyring::kRotateMs);
  const TicketKey second = old.newest();
  Keyring fresh(1'000);
  fresh.take(old.state(Keyring::kRotateMs + kHourMs), 500'000'000);
  EXPECT(fresh.newest().name == second.name);
  const auto found = fresh.find(first.name.data());
  REQUIRE(found.has_value());
  EXPECT(found->key.aes == first.aes);
  EXPECT(!found->newest);
  // Its age counts on: three hours more, and it is time for a new one.
  fresh.rotate(500'000'000 + Keyring::kRotateMs - kHourMs - 1);
  EXPECT(fresh.newest().name == second.name);
  fresh.rotate(500'000'000 + Keyring::kRotateMs - kHourMs);
  EXPECT(fresh.newest().name != second.name);
}

}  // namespace sluice::tls
