#include "drivers/docker/registry_auth.h"

#include <algorithm>

#include "core/base64.h"

namespace sluice::drivers {
namespace {

constexpr std::string_view kHub = "https://index.docker.io/v1/";
// A helper that knows no user says this in the user's place: the secret is an identity token.
constexpr std::string_view kTokenUser = "<token>";

/// Config files hold "127.0.0.1:5000", "https://127.0.0.1:5000" and "https://127.0.0.1:5000/v1/"
/// for one and the same.
std::string_view host_of(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  return key.substr(0, key.find('/'));
}

/// The member for a registry: by its exact key, else by its host.
const Json* find_registry(const Json* object, const std::string& key) {
  if (object == nullptr || !object->is_object()) return nullptr;
  if (const Json* exact = object->find(key)) return exact;
  for (const JsonMember& member : object->as_object()) {
    if (host_of(member.key) == host_of(key)) return &member.value;
  }
  return nullptr;
}

}  // namespace

std::string registry_key(const ImageRef& ref) {
  return ref.registry == "docker.io" ? std::string(kHub) : ref.registry;
}

std::optional<RegistryAuth> task_auth(const DockerAuth& auth, const ImageRef& ref) {
  if (auth.username.empty() && auth.password.empty()) return std::nullopt;
  return RegistryAuth{
      .username = auth.username,
      .password = auth.password,
      .email = auth.email,
      .server_address = auth.server_address.empty() ? registry_key(ref) : auth.server_address,
      .identity_token = {}};
}

Result<ConfigFileAuth> config_file_auth(const Json& file, const ImageRef& ref) {
  if (!file.is_object()) return fail(Code::kInvalid, "it is not a JSON object");
  const std::string key = registry_key(ref);
  ConfigFileAuth found;
  if (const Json* helper = find_registry(file.find("credHelpers"), key)) {
    if (!helper->is_string()) return fail(Code::kInvalid, "credHelpers: {} is no string", key);
    found.helper = helper->as_string();
    return found;
  }
  found.helper = file.get_string("credsStore");
  if (!found.helper.empty()) return found;
  const Json* entry = find_registry(file.find("auths"), key);
  if (entry == nullptr) return found;
  RegistryAuth auth{.username = std::string(entry->get_string("username")),
                    .password = std::string(entry->get_string("password")),
                    .email = std::string(entry->get_string("email")),
                    .server_address = key,
                    .identity_token = std::string(entry->get_string("identitytoken"))};
  if (const std::string_view packed = entry->get_string("auth"); !packed.empty()) {
    const Result<std::string> pair = base64_decode(packed);
    const size_t colon = pair ? pair->find(':') : std::string::npos;
    if (colon == std::string::npos) {
      return fail(Code::kInvalid, "auths: auth of {} is not base64 of USER:PASSWORD", key);
    }
    auth.username = pair->substr(0, colon);
    auth.password = pair->substr(colon + 1);
  }
  if (!auth.username.empty() || !auth.identity_token.empty()) found.auth = std::move(auth);
  return found;
}

Result<RegistryAuth> helper_auth(std::string_view answer, const ImageRef& ref) {
  Result<Json> json = parse_json(answer);
  // Its text may hold a secret: it is not repeated.
  if (!json || !json->is_object()) return fail(Code::kInvalid, "its answer is not a JSON object");
  RegistryAuth auth{.username = std::string(json->get_string("Username")),
                    .password = std::string(json->get_string("Secret")),
                    .email = {},
                    .server_address = registry_key(ref),
                    .identity_token = {}};
  if (auth.username.empty() || auth.password.empty()) {
    return fail(Code::kInvalid, "its answer lacks Username or Secret");
  }
  if (auth.username == kTokenUser) {
    auth.identity_token = std::move(auth.password);
    auth.username.clear();
    auth.password.clear();
  }
  return auth;
}

std::string registry_auth_header(const RegistryAuth& auth) {
  Json json = Json::object({{"serveraddress", auth.server_address}});
  if (!auth.identity_token.empty()) {
    json.set("identitytoken", auth.identity_token);
  } else {
    json.set("username", auth.username);
    json.set("password", auth.password);
    if (!auth.email.empty()) json.set("email", auth.email);
  }
  // The alphabet for URLs, RFC 4648 section 5.
  std::string text = base64_encode(to_json(json));
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  return text;
}

}  // namespace sluice::drivers
