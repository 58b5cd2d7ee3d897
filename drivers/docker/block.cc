#include "drivers/docker/block.h"

#include <charconv>

namespace sluice::drivers {

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  constexpr int64_t kMaxMs = int64_t{1000} * 24 * 3'600'000;
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > kMaxMs) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    size_t length = std::min(text.find_first_of("0123456789"), text.size());
    auto unit = std::ranges::find(kUnits, text.substr(0, length),
                                  &std::pair<std::string_view, int64_t>::first);
    if (unit == std::end(kUnits)) return std::nullopt;
    if (number > (kMaxMs - total) / unit->second) return std::nullopt;
    total += number * unit->second;
    text.remove_prefix(length);
  }
  return total;
}

std::optional<int64_t> parse_int(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

namespace {

std::optional<std::string> scalar_text(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kString: return value.as_string();
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return to_json(value);
    case Json::Kind::kBool: return std::string(value.as_bool() ? "true" : "false");
    case Json::Kind::kNull:
    case Json::Kind::kArray:
    case Json::Kind::kObject: return std::nullopt;
  }
  std::unreachable();
}

std::string_view kind_name(const Json& value) {
  switch (value.kind()) {
    case Json::Kind::kNull: return "null";
    case Json::Kind::kBool: return "a boolean";
    case Json::Kind::kInt:
    case Json::Kind::kDouble: return "a number";
    case Json::Kind::kString: return "a string";
    case Json::Kind::kArray: return "a list";
    case Json::Kind::kObject: return "a map";
  }
  std::unreachable();
}

}  // namespace

Block::Block(const Json& value, std::string where, std::optional<Error>& error)
    : where_(std::move(where)), error_(error) {
  if (value.is_null()) return;
  if (value.is_object()) {
    merged_ = value;
    return;
  }
  if (!value.is_array()) {
    no_block(value);
    return;
  }
  for (const Json& part : value.as_array()) {
    if (!part.is_object()) {
      no_block(part);
      return;
    }
    for (const JsonMember& member : part.as_object()) merged_.set(member.key, member.value);
  }
}

void Block::text(std::string_view key, std::string& into) {
  const Json* value = take(key);
  if (!value) return;
  if (auto scalar = scalar_text(*value)) {
    into = std::move(*scalar);
  } else {
    wrong(key, "a string", *value);
  }
}

void Block::flag(std::string_view key, bool& into) {
  const Json* value = take(key);
  if (!value) return;
  if (value->is_bool()) {
    into = value->as_bool();
  } else if (value->is_string() && (value->as_string() == "true" || value->as_string() == "1")) {
    into = true;
  } else if (value->is_string() && (value->as_string() == "false" || value->as_string() == "0")) {
    into = false;
  } else {
    wrong(key, "true or false", *value);
  }
}

void Block::flag(std::string_view key, std::optional<bool>& into) {
  if (!merged_.find(key)) {
    known_.emplace_back(key);
    return;
  }
  bool value = false;
  flag(key, value);
  into = value;
}

void Block::number(std::string_view key, int64_t& into, int64_t low, int64_t high) {
  const Json* value = take(key);
  if (!value) return;
  auto found = whole(*value);
  if (!found) return wrong(key, "a whole number", *value);
  if (*found < low || *found > high) {
    return say(fmt::format("{} = {} is not between {} and {}", path(key), *found, low, high));
  }
  into = *found;
}

void Block::duration(std::string_view key, int64_t& into_ms) {
  const Json* value = take(key);
  if (!value) return;
  std::optional<int64_t> found;
  if (value->is_string()) found = parse_duration_ms(value->as_string());
  if (!found || *found <= 0) return wrong(key, "a duration such as \"5m\"", *value);
  into_ms = *found;
}

void Block::list(std::string_view key, std::vector<std::string>& into) {
  const Json* value = take(key);
  if (!value) return;
  if (!value->is_array()) return wrong(key, "a list of strings", *value);
  into.clear();
  for (const Json& item : value->as_array()) {
    auto scalar = scalar_text(item);
    if (!scalar) return wrong(key, "a list of strings", item);
    into.push_back(std::move(*scalar));
  }
}

void Block::list(std::string_view key, std::optional<std::vector<std::string>>& into) {
  const Json* value = merged_.find(key);
  if (value && value->is_string()) {  // entrypoint = "/bin/sh"
    known_.emplace_back(key);
    into = {value->as_string()};
    return;
  }
  std::vector<std::string> items;
  list(key, items);
  if (value && !value->is_null()) into = std::move(items);
}

void Block::map(std::string_view key, std::map<std::string, std::string>& into) {
  const Json* value = take(key);
  if (!value) return;
  Block block(*value, path(key), error_);
  for (const JsonMember& member : block.members()) {
    auto scalar = scalar_text(member.value);
    if (!scalar) return block.wrong(member.key, "a string", member.value);
    into[member.key] = std::move(*scalar);
  }
}

void Block::numbers(std::string_view key, std::map<std::string, int64_t>& into, int64_t low,
                    int64_t high) {
  const Json* value = take(key);
  if (!value) return;
  Block block(*value, path(key), error_);
  for (const JsonMember& member : block.members()) {
    block.number(member.key, into[member.key], low, high);
  }
}

void Block::unsupported(std::string_view key, std::string_view why) {
  if (const Json* value = merged_.find(key); value && !value->is_null()) {
    say(fmt::format("option \"{}\" is not supported: {}", path(key), why), Code::kUnsupported);
  }
}

void Block::refuse_unknown() {
  for (const JsonMember& member : merged_.as_object()) {
    if (std::ranges::find(known_, member.key) != known_.end()) continue;
    std::ranges::sort(known_);
    std::string names;
    for (const std::string& name : known_) {
      if (!names.empty()) names += ", ";
      names += name;
    }
    return say(
        where_.empty()
            ? fmt::format("unknown option \"{}\"; the docker driver knows: {}", member.key, names)
            : fmt::format("unknown option \"{}\" in {}; it knows: {}", member.key, where_, names));
  }
}

const Json* Block::take(std::string_view key) {
  known_.emplace_back(key);
  const Json* value = merged_.find(key);
  return value && !value->is_null() ? value : nullptr;
}

std::optional<int64_t> Block::whole(const Json& value) {
  if (value.is_int()) return value.as_int();
  if (value.is_string()) return parse_int(value.as_string());
  if (value.is_number()) {
    double number = value.as_double();
    if (number == static_cast<double>(static_cast<int64_t>(number))) {
      return static_cast<int64_t>(number);
    }
  }
  return std::nullopt;
}

void Block::wrong(std::string_view key, std::string_view wanted, const Json& got) {
  say(fmt::format("option \"{}\" must be {}, not {}", path(key), wanted, kind_name(got)));
}

void Block::no_block(const Json& got) {
  say(fmt::format("{} must be a block, not {}", where_.empty() ? "config" : where_,
                  kind_name(got)));
}

}  // namespace sluice::drivers
