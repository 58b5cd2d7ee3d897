#include "proxy/cert_spec.h"

#include <algorithm>
#include <utility>

#include "proxy/option_text.h"

namespace sluice::proxy {

namespace {

constexpr std::pair<std::string_view, CertStoreType> kTypes[] = {
    {"file", CertStoreType::kFile},   {"path", CertStoreType::kPath},
    {"http", CertStoreType::kHttp},   {"consul", CertStoreType::kConsul},
    {"vault", CertStoreType::kVault},
};

Result<void> set_type(CertStoreSpec& spec, std::string_view value) {
  for (const auto& [name, type] : kTypes) {
    if (name != value) continue;
    spec.type = type;
    return {};
  }
  if (value == "vault-pki") return fail(Code::kUnsupported, "vault-pki is not supported");
  return fail(Code::kInvalid, "{} is none of file, path, http, consul, vault", value);
}

Result<void> set_option(CertStoreSpec& spec, std::string_view key, std::string_view value) {
  if (key == "cs") {
    spec.name = value;
  } else if (key == "type") {
    return set_type(spec, value);
  } else if (key == "cert") {
    spec.cert = value;
  } else if (key == "key") {
    spec.key = value;
  } else if (key == "clientca") {
    spec.client_ca = value;
  } else if (key == "hdr") {
    spec.header = value;
  } else if (key == "vaultfetchtoken") {
    if (!value.starts_with("env:") && !value.starts_with("file:"))
      return fail(Code::kInvalid, "{} is neither env:NAME nor file:PATH", value);
    spec.vault_token = value;
  } else if (key == "caupgcn") {
    // fabio makes a CA of the certificate with this name. Here whatever clientca holds is trusted.
  } else if (key == "refresh") {
    Result<int64_t> refresh = parse_option_ms(value);
    if (!refresh) return pass(refresh);
    spec.refresh_ms = *refresh == 0 ? 0 : std::max(*refresh, CertStoreSpec::kLeastRefreshMs);
  } else {
    return fail(Code::kInvalid, "unknown option");
  }
  return {};
}

Result<void> check(const CertStoreSpec& spec, bool has_type) {
  if (spec.name.empty()) return fail(Code::kInvalid, "it wants a name (cs=...)");
  if (!has_type) return fail(Code::kInvalid, "it wants a type (type=file, path, http, ...)");
  if (spec.name.find('+') != std::string::npos) return fail(Code::kInvalid, "a name holds no '+'");
  if (spec.cert.empty()) return fail(Code::kInvalid, "it wants cert=...");
  if (!spec.key.empty() && spec.type != CertStoreType::kFile) {
    return fail(Code::kInvalid, "key= is for type=file alone");
  }
  if (!spec.header.empty() && spec.type != CertStoreType::kHttp) {
    return fail(Code::kInvalid, "hdr= is for type=http alone");
  }
  if (!spec.vault_token.empty() && spec.type != CertStoreType::kVault) {
    return fail(Code::kInvalid, "vaultfetchtoken= is for type=vault alone");
  }
  return {};
}

Result<CertStoreSpec> parse_one(std::string_view text) {
  Result<std::vector<std::string_view>> parts = split_unquoted(text, ';');
  if (!parts) return pass(parts, "certificate store {}", text);
  CertStoreSpec spec;
  bool has_type = false;
  for (const std::string_view part : *parts) {
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    const std::string_view key = trim_spaces(part.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? "" : unquote(trim_spaces(part.substr(equals + 1)));
    Result<void> option = set_option(spec, key, value);
    if (!option) return pass(option, "certificate store {}: {}", text, key);
    has_type |= key == "type";
  }
  Result<void> good = check(spec, has_type);
  if (!good) return pass(good, "certificate store {}", text);
  return spec;
}

}  // namespace

std::string_view to_string(CertStoreType type) {
  for (const auto& [name, each] : kTypes) {
    if (each == type) return name;
  }
  return "?";
}

Result<std::vector<CertStoreSpec>> parse_cert_stores(std::string_view text) {
  Result<std::vector<std::string_view>> parts = split_unquoted(text, ',');
  if (!parts) return pass(parts, "certificate stores {}", text);
  std::vector<CertStoreSpec> specs;
  for (const std::string_view part : *parts) {
    if (part.empty()) continue;
    Result<CertStoreSpec> spec = parse_one(part);
    if (!spec) return pass(spec);
    const bool twice = std::any_of(specs.begin(), specs.end(),
                                   [&](const auto& each) { return each.name == spec->name; });
    if (twice) return fail(Code::kInvalid, "certificate store {} is there twice", spec->name);
    specs.push_back(std::move(*spec));
  }
  return specs;
}

std::vector<std::string_view> split_store_names(std::string_view names) {
  std::vector<std::string_view> out;
  while (!names.empty()) {
    const size_t plus = names.find('+');
    const std::string_view name = trim_spaces(names.substr(0, plus));
    if (!name.empty()) out.push_back(name);
    names = plus == std::string_view::npos ? std::string_view() : names.substr(plus + 1);
  }
  return out;
}

}  // namespace sluice::proxy
