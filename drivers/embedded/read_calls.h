// The calls of Consul's read API that the embedded catalog answers: their paths, the index that
// each waits on, and their bodies.
//
// Pure; the control loop's, for it looks at the table.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http_server.h"
#include "core/json_filter.h"
#include "core/result.h"
#include "drivers/embedded/read_json.h"
#include "drivers/embedded/table.h"

namespace sluice::drivers {

/// What the query string says.
struct ReadQuery {
  uint64_t index = 0;  // over 0: wait until there is something newer
  std::string hash;    // the same for /v1/agent/service
  int64_t wait_ms = 0;
  bool stale = false;
  bool consistent = false;
  bool pretty = false;
  bool passing = false;
  bool keys = false;                                           // of the keys: their names alone,
  bool recurse = false;                                        // or all below
  std::vector<std::string> tags;                               // all of them
  std::vector<std::pair<std::string, std::string>> node_meta;  // all of it
  std::optional<JsonFilter> filter;
};

inline constexpr int64_t kDefaultReadWaitMs = 300'000;
inline constexpr int64_t kLongestReadWaitMs = 600'000;

/// kInvalid: the client's fault; kUnavailable: the datacenter is another.
Result<ReadQuery> parse_read_query(const HttpServerRequest& request, const ReadNode& node);

struct ReadContext {
  const CatalogTable& table;
  const ReadNode& node;
  const ReadQuery& query;
  const std::string& name;  // what stands behind the call's path
};

struct ReadCall {
  std::string_view path;     // ends with '/' where a name follows
  std::string_view missing;  // what is said where none does; "": it may be empty
  /// nullptr: the agent's own view, which has no index.
  uint64_t (*index)(const ReadContext& of);
  /// kNotFound: 404 with the message, or with nothing; kInvalid: 400.
  Result<Json> (*body)(const ReadContext& of);
  /// What `?filter=` looks at; nullptr: the call takes none.
  Json (*sample)(const ReadNode& node);
};

/// By the path, still escaped; `name` is decoded. nullptr: no such call.
const ReadCall* find_read_call(std::string_view path, std::string& name);

/// kInvalid where the call takes no filter, or not this one.
Result<void> check_read_filter(const ReadCall& call, const ReadQuery& query, const ReadNode& node);

}  // namespace sluice::drivers
