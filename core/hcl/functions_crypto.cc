// Digests, UUIDs, bcrypt and rsadecrypt (core/digest does the work).
#include "core/base64.h"
#include "core/digest.h"
#include "core/hcl/functions_impl.h"
#include "core/hcl/unicode.h"
#include "core/random.h"

namespace sluice::hcl {

namespace {

template <DigestKind kKind>
Result<Value> hash(Arguments arguments, CallContext&) {
  return Value::string(to_hex(digest(kKind, arguments[0].as_string())));
}

Result<Value> uuidv4(Arguments, CallContext& context) {
  if (!context.host.random) return fail(Code::kUnsupported, "not available here");
  return Value::string(make_uuid(*context.host.random));
}

// The name spaces of RFC 9562 section 6.6 have short names.
Result<Value> uuidv5(Arguments arguments, CallContext&) {
  std::string_view name_space = arguments[0].as_string();
  if (name_space == "dns") name_space = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
  if (name_space == "url") name_space = "6ba7b811-9dad-11d1-80b4-00c04fd430c8";
  if (name_space == "oid") name_space = "6ba7b812-9dad-11d1-80b4-00c04fd430c8";
  if (name_space == "x500") name_space = "6ba7b814-9dad-11d1-80b4-00c04fd430c8";
  Result<std::string> uuid = uuid_v5(name_space, arguments[1].as_string());
  if (!uuid) return pass(uuid);
  return Value::string(std::move(*uuid));
}

Result<Value> bcrypt_of(Arguments arguments, CallContext& context) {
  if (!context.host.random) return fail(Code::kUnsupported, "not available here");
  if (arguments.size() > 2) return fail(Code::kInvalid, "takes 1 or 2 arguments");
  Result<int64_t> cost = arguments.size() == 2 ? whole(arguments[1], "cost") : 10;
  if (!cost) return pass(cost);
  // Slow by design: about a step a microsecond.
  if (*cost > 0 && *cost < 63 && !context.budget.spend_steps(uint64_t{50} << *cost)) {
    return too_much();
  }
  Result<std::string> hash = bcrypt(arguments[0].as_string(), *cost, *context.host.random);
  if (!hash) return pass(hash);
  return Value::string(std::move(*hash));
}

Result<Value> rsadecrypt(Arguments arguments, CallContext&) {
  Result<std::string> ciphertext = base64_decode(arguments[0].as_string());
  if (!ciphertext) return fail(Code::kInvalid, "the encrypted text must be base64");
  Result<std::string> plain = rsa_decrypt(*ciphertext, arguments[1].as_string());
  if (!plain) return pass(plain);
  if (!is_valid_utf8(*plain)) return fail(Code::kInvalid, "what is encrypted is no text (UTF-8)");
  return Value::string(std::move(*plain));
}

}  // namespace

void add_crypto_functions(std::vector<Function>& out) {
  const Parameter text{"text", Type::string()};
  out.push_back({"md5", {text}, false, hash<DigestKind::kMd5>});
  out.push_back({"sha1", {text}, false, hash<DigestKind::kSha1>});
  out.push_back({"sha256", {text}, false, hash<DigestKind::kSha256>});
  out.push_back({"sha512", {text}, false, hash<DigestKind::kSha512>});
  out.push_back({"uuidv4", {}, false, uuidv4});
  out.push_back(
      {"uuidv5", {{"namespace", Type::string()}, {"name", Type::string()}}, false, uuidv5});
  out.push_back({"bcrypt", {text, {"cost", Type::number()}}, true, bcrypt_of});
  out.push_back({"rsadecrypt", {text, {"key", Type::string()}}, false, rsadecrypt});
}

}  // namespace sluice::hcl
