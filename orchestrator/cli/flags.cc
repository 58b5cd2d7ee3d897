#include "orchestrator/cli/flags.h"

#include <charconv>

#include "core/duration.h"
#include "orchestrator/cli/text.h"

namespace sluice::orchestrator::cli {
namespace {

const FlagSpec* find_spec(std::span<const std::span<const FlagSpec>> specs, std::string_view name) {
  for (const auto& table : specs) {
    for (const FlagSpec& spec : table) {
      if (spec.name == name) return &spec;
    }
  }
  return nullptr;
}

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "1" || text == "t" || text == "T" || text == "TRUE") return true;
  if (text == "false" || text == "0" || text == "f" || text == "F" || text == "FALSE") return false;
  return std::nullopt;
}

Result<int64_t> parse_number(const FlagSpec& spec, std::string_view text) {
  if (spec.kind == FlagSpec::Kind::kDuration) {
    const Result<int64_t> duration = parse_go_duration(text);
    if (!duration) {
      return fail(Code::kInvalid, "flag -{}: {} is not a duration; write one such as 30s or 1h",
                  spec.name, quoted(text));
    }
    return *duration;
  }
  int64_t value = 0;
  const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kInvalid, "flag -{}: {} is not a whole number", spec.name, quoted(text));
  }
  return value;
}

}  // namespace

Result<Flags> Flags::parse(std::span<const std::string> words,
                           std::span<const std::span<const FlagSpec>> specs,
                           size_t words_before_rest) {
  Flags flags;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    const bool rest = words_before_rest > 0 && flags.words_.size() >= words_before_rest;
    if (word == "--" && !rest) {
      flags.words_.insert(flags.words_.end(), words.begin() + static_cast<ptrdiff_t>(i) + 1,
                          words.end());
      break;
    }
    if (rest || word.size() < 2 || word[0] != '-') {
      flags.words_.emplace_back(word);
      continue;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const FlagSpec* spec = find_spec(specs, name);
    if (!spec) return fail(Code::kInvalid, "flag provided but not defined: -{}", name);
    std::string value;
    if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    } else if (spec->kind == FlagSpec::Kind::kBool) {
      value = "true";
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return fail(Code::kInvalid, "flag needs an argument: -{}", name);
    }
    if (spec->kind == FlagSpec::Kind::kBool) {
      const auto on = parse_bool(value);
      if (!on) {
        return fail(Code::kInvalid, "flag -{}: {} is neither true nor false", name, quoted(value));
      }
      value = *on ? "true" : "false";
    } else if (spec->kind != FlagSpec::Kind::kValue) {
      Result<int64_t> number = parse_number(*spec, value);
      if (!number) return pass(number);
      flags.numbers_[std::string(name)] = *number;
    }
    flags.values_[std::string(name)].push_back(std::move(value));
  }
  return flags;
}

bool Flags::is_on(std::string_view name) const {
  const auto found = values_.find(name);
  return found != values_.end() && found->second.back() == "true";
}

std::optional<std::string> Flags::value(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second.back();
}

std::string Flags::value_or(std::string_view name, std::string_view fallback) const {
  return value(name).value_or(std::string(fallback));
}

int64_t Flags::number_or(std::string_view name, int64_t fallback) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? fallback : found->second;
}

std::vector<std::string> Flags::all(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

}  // namespace sluice::orchestrator::cli
