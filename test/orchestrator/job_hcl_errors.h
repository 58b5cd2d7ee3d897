// Tables of wrong job files: each row is a file, or what stands inside a job, a group or a task,
// with the place and the message that it must give.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "orchestrator/job_hcl.h"
#include "test/test.h"

namespace sluice::orchestrator::test {

struct Wrong {
  const char* source;
  const char* error;  // "line:column: message"
};

/// The first line of the error, without the file's name; the rest shows the source line.
inline std::string error_of(const std::string& text) {
  auto json = parse_job_hcl("j.nomad", text);
  if (json) return "no error: " + to_json(*json);
  std::string message = json.error().message.substr(0, json.error().message.find('\n'));
  message.erase(0, std::string_view("j.nomad:").size());
  return message.starts_with(' ') ? message.substr(1) : message;
}

/// Each row between what opens the blocks around it and what closes them.
inline void expect_errors(std::span<const Wrong> table, const std::string& before = "",
                          const std::string& after = "") {
  for (const Wrong& wrong : table) {
    CAPTURE(wrong.source);
    EXPECT_EQ(error_of(before + wrong.source + after), wrong.error);
  }
}

}  // namespace sluice::orchestrator::test
