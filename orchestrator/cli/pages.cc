#include "orchestrator/cli/pages.h"

#include <fmt/format.h>

namespace sluice::orchestrator::cli {

Task<Result<ApiReply>> get_page(Session& session, std::string path, Query query) {
  const Flags& flags = session.flags();
  if (flags.has("filter")) query.emplace_back("filter", flags.value_or("filter", ""));
  if (flags.has("per-page")) {
    query.emplace_back("per_page", fmt::format("{}", flags.number_or("per-page", 0)));
  }
  if (flags.has("page-token")) {
    query.emplace_back("next_token", flags.value_or("page-token", ""));
  }
  co_return co_await session.get(std::move(path), std::move(query));
}

void print_next_page(Session& session, std::string_view verb, const ApiReply& page) {
  if (page.next_token.empty()) return;
  const Flags& flags = session.flags();
  std::string again = fmt::format("sluice {}", verb);
  if (flags.has("filter")) again += fmt::format(" -filter '{}'", flags.value_or("filter", ""));
  if (flags.has("per-page")) again += fmt::format(" -per-page {}", flags.number_or("per-page", 0));
  session.print(
      fmt::format("\nResults have been paginated. To get the next page run:\n\n{} -page-token {}",
                  again, page.next_token));
}

}  // namespace sluice::orchestrator::cli
