// Block: reads the members of one HCL block that came as JSON, in the forms that files of any age
// bring: a block arrives as a map or as an array of maps (which are merged), a number may be a
// string and a scalar may stand where a string is asked for. It remembers which names were asked
// for, so that the list of known names and the check for unknown ones cannot drift apart.
//
// Pure; any thread. Keeps the first error, in the caller's place for it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace sluice::drivers {

/// A whole number and nothing else.
std::optional<int64_t> parse_int(std::string_view text);

/// "30s", "1h5m", "250ms" as milliseconds; nullopt where it is no duration.
std::optional<int64_t> parse_duration_ms(std::string_view text);

class Block {
 public:
  /// `where` names the block in messages: "" at the top, "logging" inside.
  Block(const Json& value, std::string where, std::optional<Error>& error);

  void text(std::string_view key, std::string& into);
  void flag(std::string_view key, bool& into);
  void flag(std::string_view key, std::optional<bool>& into);
  void number(std::string_view key, int64_t& into, int64_t low, int64_t high);
  void duration(std::string_view key, int64_t& into_ms);
  void list(std::string_view key, std::vector<std::string>& into);
  void list(std::string_view key, std::optional<std::vector<std::string>>& into);
  void map(std::string_view key, std::map<std::string, std::string>& into);
  void numbers(std::string_view key, std::map<std::string, int64_t>& into, int64_t low,
               int64_t high);
  /// `read(Block&)` for a block that may be there once.
  template <class F>
  void block(std::string_view key, F read) {
    const Json* value = take(key);
    static const Json kEmpty = Json::object();
    Block inner(value ? *value : kEmpty, path(key), error_);
    read(inner);
    inner.refuse_unknown();
  }
  /// `read(Block&)` for each of the blocks of that name.
  template <class F>
  void blocks(std::string_view key, F read) {
    const Json* value = take(key);
    if (!value) return;
    if (value->is_object()) {
      Block inner(*value, path(key), error_);
      read(inner);
      return inner.refuse_unknown();
    }
    if (!value->is_array()) return wrong(key, "a list of blocks", *value);
    size_t index = 0;
    for (const Json& item : value->as_array()) {
      Block inner(item, fmt::format("{}[{}]", path(key), index++), error_);
      read(inner);
      inner.refuse_unknown();
    }
  }
  void unsupported(std::string_view key, std::string_view why);

  bool has(std::string_view key) const {
    const Json* value = merged_.find(key);
    return value && !value->is_null();
  }
  const Json::Object& members() const { return merged_.as_object(); }
  void say(std::string message, Code code = Code::kInvalid) {
    if (!error_) error_ = Error{code, std::move(message)};
  }
  std::string path(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }

  void refuse_unknown();

 private:
  const Json* take(std::string_view key);
  static std::optional<int64_t> whole(const Json& value);
  void wrong(std::string_view key, std::string_view wanted, const Json& got);
  void no_block(const Json& got);

  std::string where_;
  Json merged_ = Json::object();
  std::vector<std::string> known_;
  std::optional<Error>& error_;
};

}  // namespace sluice::drivers
