#include "proxy/auth.h"

#include <algorithm>

#include "core/check.h"
#include "core/password.h"
#include "core/scope.h"
#include "proxy/option_text.h"

namespace sluice::proxy {

namespace {

constexpr int64_t kLookMs = 1'000;
constexpr size_t kProblemsLogged = 10;

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Result<AuthSpec> parse_one(std::string_view text) {
  Result<std::vector<std::string_view>> parts = split_unquoted(text, ';');
  if (!parts) return pass(parts);
  AuthSpec spec;
  std::string_view type;
  for (const std::string_view part : *parts) {
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    const std::string_view key = trim_spaces(part.substr(0, equals));
    const std::string_view value =
        unquote(trim_spaces(part.substr(std::min(equals + 1, part.size()))));
    if (has_control(value)) return fail(Code::kInvalid, "{}: control character", key);
    if (key == "name") {
      spec.name = value;
    } else if (key == "type") {
      type = value;
    } else if (key == "file") {
      spec.file = value;
    } else if (key == "realm") {
      spec.realm = value;
    } else if (key == "refresh") {
      Result<int64_t> refresh = parse_option_ms(value);
      if (!refresh) return pass(refresh, "refresh");
      spec.refresh_ms = *refresh;
    } else {
      return fail(Code::kInvalid, "unknown option {}", key);
    }
  }
  if (spec.name.empty()) return fail(Code::kInvalid, "name= is missing");
  if (type != "basic") return fail(Code::kUnsupported, "type={}: only basic is known", type);
  if (spec.file.empty()) return fail(Code::kInvalid, "file= is missing");
  if (spec.realm.empty()) spec.realm = spec.name;
  return spec;
}

// RFC 7235 2.2: the realm is a quoted string.
std::string challenge_of(std::string_view realm) {
  std::string out = "Basic realm=\"";
  for (const char c : realm) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\", charset=\"UTF-8\"";
}

}  // namespace

Result<std::vector<AuthSpec>> parse_auth_specs(std::string_view text) {
  Result<std::vector<std::string_view>> parts = split_unquoted(text, ',');
  if (!parts) return pass(parts, "auth {}", text);
  std::vector<AuthSpec> specs;
  for (const std::string_view part : *parts) {
    if (part.empty()) continue;
    Result<AuthSpec> spec = parse_one(part);
    if (!spec) return pass(spec, "auth {}", part);
    const bool twice = std::ranges::find(specs, spec->name, &AuthSpec::name) != specs.end();
    if (twice) return fail(Code::kInvalid, "auth {}: the name {} is taken", part, spec->name);
    specs.push_back(std::move(*spec));
  }
  return specs;
}

UserList UserList::parse(std::string_view text, std::vector<std::string>& problems) {
  UserList list;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line =
        trim_spaces(text.substr(0, text.substr(0, end).ends_with('\r') ? end - 1 : end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) {
      problems.push_back(fmt::format("line {}: want name:hash", number));
      continue;
    }
    const std::string_view hash = line.substr(colon + 1, line.find(':', colon + 1) - colon - 1);
    if (!is_password_hash(hash)) {
      problems.push_back(
          fmt::format("line {}: the hash of {} is neither bcrypt, apr1, SHA-crypt nor {{SHA}}",
                      number, line.substr(0, colon)));
      continue;
    }
    list.any_hash_ = hash;
    list.hashes_.insert_or_assign(std::string(line.substr(0, colon)), std::string(hash));
  }
  return list;
}

const std::string* UserList::find(std::string_view user) const {
  const auto found = hashes_.find(std::string(user));
  return found == hashes_.end() ? nullptr : &found->second;
}

AuthRegistry::AuthRegistry(std::vector<AuthSpec> specs, Disk& disk, Log& log)
    : specs_(std::move(specs)),
      disk_(disk),
      log_(log),
      users_(specs_.size()),
      texts_(specs_.size()),
      last_error_(specs_.size()) {
  for (const AuthSpec& spec : specs_) schemes_.push_back({spec.name, challenge_of(spec.realm)});
}

Result<std::unique_ptr<AuthRegistry>> AuthRegistry::open(std::vector<AuthSpec> specs, Disk& disk,
                                                         Log& log) {
  std::unique_ptr<AuthRegistry> registry(new AuthRegistry(std::move(specs), disk, log));
  for (size_t i = 0; i < registry->specs_.size(); ++i) {
    Result<bool> loaded = registry->load(i);
    if (!loaded) return pass(loaded, "auth {}", registry->specs_[i].name);
  }
  return registry;
}

std::vector<std::string> AuthRegistry::names() const {
  std::vector<std::string> names;
  for (const AuthScheme& scheme : schemes_) names.push_back(scheme.name);
  return names;
}

/// True: there is another list of users.
Result<bool> AuthRegistry::load(size_t scheme) {
  Result<std::string> text = disk_.read_file(specs_[scheme].file, UserList::kFileBytes);
  if (!text) return pass(text);
  if (users_[scheme] && *text == texts_[scheme]) return false;
  std::vector<std::string> problems;
  users_[scheme] = std::make_shared<const UserList>(UserList::parse(*text, problems));
  texts_[scheme] = std::move(*text);
  for (size_t i = 0; i < std::min(problems.size(), kProblemsLogged); ++i) {
    log_.warn("auth {}: {}: {}", specs_[scheme].name, specs_[scheme].file, problems[i]);
  }
  log_.info("auth {}: {} users", specs_[scheme].name, users_[scheme]->size());
  return true;
}

Task<void> AuthRegistry::watch(Executor& executor, Changed changed) {
  std::vector<int64_t> next_ms(specs_.size());
  for (size_t i = 0; i < specs_.size(); ++i) next_ms[i] = executor.now_ms() + specs_[i].refresh_ms;
  for (;;) {
    co_await sleep_for(executor, kLookMs);
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].refresh_ms == 0 || executor.now_ms() < next_ms[i]) continue;
      next_ms[i] = executor.now_ms() + specs_[i].refresh_ms;
      Result<bool> loaded = load(i);
      const std::string error = loaded ? std::string() : loaded.error().message;
      if (error != last_error_[i] && !error.empty()) {
        log_.warn("auth {}: {}: the users stay as they were", specs_[i].name, error);
      }
      last_error_[i] = error;
      if (loaded && *loaded) changed(i, users_[i]);
    }
  }
}

}  // namespace sluice::proxy
