#include <algorithm>
#include <charconv>

#include "core/duration.h"
#include "drivers/embedded/read_calls.h"

namespace sluice::drivers {

namespace {

std::optional<bool> parse_go_bool(std::string_view text) {
  constexpr std::string_view kTrue[] = {"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::string_view kFalse[] = {"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(kTrue, text) != std::end(kTrue)) return true;
  if (std::ranges::find(kFalse, text) != std::end(kFalse)) return false;
  return std::nullopt;
}

Result<void> take_one(const std::string& key, const std::string& value, const ReadNode& node,
                      ReadQuery& query) {
  if (key == "dc" && !value.empty() && value != node.datacenter) {
    return fail(Code::kUnavailable, "No path to datacenter");
  }
  if (key == "ns" || key == "partition") {
    return fail(Code::kInvalid,
                "Bad request: Invalid query parameter: \"{}\" - {} are a Consul Enterprise feature",
                key, key == "ns" ? "Namespaces" : "Partitions");
  }
  if (key == "index" && !value.empty()) {
    const auto [end, trouble] =
        std::from_chars(value.data(), value.data() + value.size(), query.index);
    if (trouble != std::errc() || end != value.data() + value.size()) {
      return fail(Code::kInvalid, "Invalid index");
    }
  } else if (key == "wait" && !value.empty()) {
    const Result<int64_t> wait_ns = parse_go_duration(value);
    if (!wait_ns) return fail(Code::kInvalid, "Invalid wait time");
    query.wait_ms = std::clamp<int64_t>(*wait_ns / 1'000'000, 0, kLongestReadWaitMs);
  } else if (key == "passing") {
    const std::optional<bool> wanted = value.empty() ? true : parse_go_bool(value);
    if (!wanted) return fail(Code::kInvalid, "Bad request: Invalid value for ?passing");
    query.passing = *wanted;
  } else if (key == "tag") {
    query.tags.push_back(value);
  } else if (key == "node-meta") {
    const size_t colon = value.find(':');
    query.node_meta.emplace_back(value.substr(0, colon),
                                 colon == std::string::npos ? "" : value.substr(colon + 1));
  } else if (key == "filter" && !value.empty()) {
    Result<JsonFilter> filter = JsonFilter::parse(value);
    if (!filter) return pass(filter, "Failed to create boolean expression evaluator");
    query.filter = std::move(*filter);
  }
  return {};
}

}  // namespace

Result<ReadQuery> parse_read_query(const HttpServerRequest& request, const ReadNode& node) {
  ReadQuery query{.wait_ms = kDefaultReadWaitMs};
  for (const auto& [key, value] : request.query) {
    if (key == "stale") query.stale = true;
    if (key == "consistent") query.consistent = true;
    if (key == "pretty") query.pretty = true;
    if (key == "keys") query.keys = true;
    if (key == "recurse") query.recurse = true;
    if (key == "hash") query.hash = value;
    Result<void> taken = take_one(key, value, node, query);
    if (!taken) return pass(taken);
  }
  if (query.stale && query.consistent) {
    return fail(Code::kInvalid, "Cannot specify ?stale with ?consistent, conflicting semantics.");
  }
  return query;
}

}  // namespace sluice::drivers
