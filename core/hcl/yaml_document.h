// YAML read into values and written event by event, on libyaml.
//
// What for: the functions yamldecode and yamlencode, and parseYAML and toYAML of templates. The two
// read plain words differently, as their references do: YamlWords. Pure; any thread. A document
// may be 100 deep; what it makes is paid from a budget, aliases too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/hcl/eval.h"
#include "core/hcl/value.h"
#include "core/result.h"

namespace sluice::hcl {

/// What a plain word stands for. kCty: go-cty-yaml, which makes a timestamp of a date, and knows
/// numbers in decimal, 0x and 0o. kGoYaml: gopkg.in/yaml.v2, to which a date is text, and which
/// takes 010 for octal and 0b1 for binary.
enum class YamlWords : uint8_t { kCty, kGoYaml };

/// The one document of the text. Errors say the line and column.
Result<Value> read_yaml(std::string_view text, YamlWords words, Budget& budget);

/// Whether a plain word would be read as this very text, by kGoYaml.
bool is_plain_text(std::string_view word);

/// Where kPlain or kBlock would be read as something else, quotes are put around it.
enum class YamlStyle : uint8_t { kPlain, kQuoted, kBlock };

/// A document: begin and end, and between them one value as events. Each call says whether it went
/// well; after one that did not, finish() is the error.
class YamlEmitter {
 public:
  YamlEmitter();
  ~YamlEmitter();
  YamlEmitter(const YamlEmitter&) = delete;
  YamlEmitter& operator=(const YamlEmitter&) = delete;

  bool begin_sequence();
  bool end_sequence();
  bool begin_mapping();
  bool end_mapping();
  bool scalar(std::string_view text, YamlStyle style);
  /// The document's text.
  Result<std::string> finish();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice::hcl
