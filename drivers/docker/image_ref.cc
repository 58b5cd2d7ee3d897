#include "drivers/docker/image_ref.h"

#include <algorithm>

#include "core/ascii.h"

namespace sluice::drivers {
namespace {

constexpr size_t kMaxTagBytes = 128;
constexpr size_t kMaxNameBytes = 255;

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_word(char c) {
  return ascii::is_alphanumeric(c) || c == '_';
}

/// path-component: lower-case letters and digits, separated by '.', '_', '__' or any number of '-'.
bool valid_component(std::string_view component) {
  if (component.empty() || !is_lower_or_digit(component.front()) ||
      !is_lower_or_digit(component.back())) {
    return false;
  }
  for (size_t i = 0; i < component.size();) {
    if (is_lower_or_digit(component[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < component.size() && component[end] == component[i]) ++end;
    size_t run = end - i;
    bool good = component[i] == '-' || (component[i] == '.' && run == 1) ||
                (component[i] == '_' && run <= 2);
    if (!good || !is_lower_or_digit(component[end])) return false;
    i = end;
  }
  return true;
}

bool valid_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= kMaxTagBytes && is_word(tag.front()) &&
         std::ranges::all_of(tag, [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

bool valid_digest(std::string_view digest) {
  size_t colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view hex = digest.substr(colon + 1);
  return hex.size() >= 32 && std::ranges::all_of(hex, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool is_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
         std::ranges::any_of(first, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

std::string ImageRef::familiar_name() const {
  if (registry != "docker.io") return registry + "/" + repository;
  constexpr std::string_view kLibrary = "library/";
  std::string_view path = repository;
  if (path.starts_with(kLibrary) && path.find('/', kLibrary.size()) == std::string_view::npos) {
    path.remove_prefix(kLibrary.size());
  }
  return std::string(path);
}

std::string ImageRef::text() const {
  std::string text = familiar_name();
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

Result<ImageRef> parse_image_ref(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return fail(Code::kInvalid, "image \"{}\": {}", text, why);
  };
  ImageRef ref;
  std::string_view rest = text;
  // The old form with a scheme in front, which users of old job files still have.
  if (rest.starts_with("https://")) rest.remove_prefix(8);
  if (rest.empty()) return bad("the name is empty");
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    ref.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
    if (!valid_digest(ref.digest)) return bad("the digest is not \"algorithm:hex\"");
  }
  size_t slash = rest.rfind('/');
  size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
  if (colon != std::string_view::npos) {
    ref.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!valid_tag(ref.tag)) return bad("the tag may hold letters, digits, '_', '.' and '-'");
  }
  size_t first = rest.find('/');
  if (first != std::string_view::npos && is_registry(rest.substr(0, first))) {
    ref.registry = rest.substr(0, first);
    ref.repository = rest.substr(first + 1);
  } else {
    ref.registry = "docker.io";
    ref.repository = rest;
  }
  if (ref.registry == "index.docker.io") ref.registry = "docker.io";
  std::string_view path = ref.repository;
  for (bool more = true; more;) {
    size_t end = path.find('/');
    if (!valid_component(path.substr(0, end))) {
      return bad(
          "the name may hold lower-case letters, digits and the separators '.', '_', '-', '/'");
    }
    more = end != std::string_view::npos;
    if (more) path.remove_prefix(end + 1);
  }
  if (ref.repository.size() > kMaxNameBytes) return bad("the name is longer than 255 characters");
  if (ref.registry == "docker.io" && ref.repository.find('/') == std::string::npos) {
    ref.repository = "library/" + ref.repository;
  }
  if (ref.tag.empty() && ref.digest.empty()) ref.tag = "latest";
  return ref;
}

}  // namespace sluice::drivers
