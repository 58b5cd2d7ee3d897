// Passwords against their hashes, as htpasswd files hold them: bcrypt, SHA-crypt and MD5-crypt of
// the C library, Apache's apr1, and {SHA}.
//
// Pure; any thread; slow by purpose (bcrypt: tens of milliseconds and more), so never on a reactor.
#pragma once

#include <string_view>

namespace sluice {

/// Whether it is a hash of a kind that verify_password knows.
bool is_password_hash(std::string_view hash);

/// False too if the hash is of no known kind.
bool verify_password(std::string_view password, std::string_view hash);

}  // namespace sluice
