#include "orchestrator/api/list.h"

#include <charconv>

namespace sluice::orchestrator::api {

Result<ListQuery> read_list_query(const Call& call) {
  ListQuery query;
  query.prefix = call.query("prefix");
  query.next_token = call.query("next_token");
  query.reverse = call.query_on("reverse");
  if (const std::string text = call.query("per_page"); !text.empty()) {
    const auto [end, trouble] =
        std::from_chars(text.data(), text.data() + text.size(), query.per_page);
    if (trouble != std::errc() || end != text.data() + text.size()) {
      return fail(Code::kInvalid, "per_page must be a whole number, not \"{}\"", text);
    }
  }
  if (const std::string text = call.query("filter"); !text.empty()) {
    Result<JsonFilter> filter = JsonFilter::parse(text);
    if (!filter) return pass(filter);
    query.filter = std::move(*filter);
  }
  return query;
}

NodeStubParts stub_parts(const Call& call) {
  return {.resources = call.query_on("resources"), .os = call.query_on("os")};
}

Result<void> check_filter(const JsonFilter& filter, const Json& record) {
  // Every record is written with all of its fields; what is below one may differ.
  std::vector<std::string_view> fields;
  for (const JsonMember& member : record.as_object()) fields.push_back(member.key);
  Result<void> known = filter.check_against(record, fields);
  if (!known) return pass(known, "failed to read filter expression");
  return {};
}

Task<void> reply_page(Call& call, ListPage page) {
  if (page.refusal) return call.refuse(*page.refusal);
  if (!page.next_token.empty()) {
    call.writer().add_header("X-Nomad-NextToken", page.next_token);
  }
  return call.reply(std::move(page.text));
}

}  // namespace sluice::orchestrator::api
