// Lists of records: prefix, filter, pages and order, written on the pool, since there may be a
// million. Include from .cc files only.
//
// Thread: read_list_query and reply_list on the control loop; the writing itself on the pool, from
// a snapshot's tables, which never change.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json_filter.h"
#include "core/scope.h"
#include "orchestrator/api/call.h"
#include "orchestrator/table.h"

namespace sluice::orchestrator::api {

struct ListQuery {
  std::string prefix;
  std::string next_token;  // the id of the page's first item
  size_t per_page = 0;     // 0: all
  bool reverse = false;
  bool by_id = true;  // the order that `reverse` turns; else the order is the caller's
  std::optional<JsonFilter> filter;
};

/// From `prefix`, `per_page`, `next_token`, `reverse` and `filter`.
Result<ListQuery> read_list_query(const Call& call);

/// What of a node's stub is asked for.
NodeStubParts stub_parts(const Call& call);

struct ListPage {
  std::string text;
  std::string next_token;
  std::optional<Error> refusal;
};

/// kInvalid where the filter begins with a field that no such record has.
Result<void> check_filter(const JsonFilter& filter, const Json& record);

/// Puts the items that `order` yields, in that order, into a page.
/// `key` gives an item's page token; `write` puts it into a JsonWriter. `items`: how many there are
/// in the page.
template <class T, class Key, class Write>
ListPage write_page(const std::vector<std::shared_ptr<const T>>& order, const ListQuery& query,
                    Key key, Write write, size_t* items = nullptr) {
  ListPage page;
  JsonWriter out(page.text);
  out.begin_array();
  size_t count = 0;
  bool begun = query.next_token.empty(), checked = false;
  for (const auto& item : order) {
    if (!begun) {
      // The token's own item may be gone by now: then the page begins behind its place.
      const std::string id = key(*item);
      const bool behind = query.reverse ? id < query.next_token : id > query.next_token;
      if (id != query.next_token && !(query.by_id && behind)) continue;
    }
    begun = true;
    std::string text;
    {
      JsonWriter one(text);
      write(one, *item);
    }
    if (query.filter) {
      const Result<Json> parsed = parse_json(text);
      if (parsed && !std::exchange(checked, true)) {
        const Result<void> fits = check_filter(*query.filter, *parsed);
        if (!fits) return {.text = {}, .next_token = {}, .refusal = fits.error()};
      }
      if (!parsed || !query.filter->matches(*parsed)) continue;
    }
    if (query.per_page != 0 && count == query.per_page) {
      page.next_token = key(*item);
      break;
    }
    out.raw(text);
    ++count;
  }
  out.end_array();
  if (items != nullptr) *items = count;
  return page;
}

/// The table's records whose id starts with the prefix and that `keep` wants, in the query's order.
template <class T, class Keep>
std::vector<std::shared_ptr<const T>> select(const Table<T>& table, const ListQuery& query,
                                             Keep keep) {
  std::vector<std::shared_ptr<const T>> found;
  table.visit_from(RecordKey{query.prefix, {}, 0}, [&](const std::shared_ptr<const T>& item) {
    if (!record_key(*item).id.starts_with(query.prefix)) return false;
    if (keep(*item)) found.push_back(item);
    return true;
  });
  if (query.reverse) std::reverse(found.begin(), found.end());
  return found;
}

template <class T>
std::string id_of(const T& record) {
  return std::string(record_key(record).id);
}

/// Newest first, as clients sort what belongs to one job.
template <class T>
void sort_newest_first(std::vector<std::shared_ptr<const T>>& items) {
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) {
    return a->create_index != b->create_index ? a->create_index > b->create_index
                                              : record_key(*a) < record_key(*b);
  });
}

Task<void> reply_page(Call& call, ListPage page);

/// select() and write_page() on the pool, then the answer. The functions own what they use.
template <class T, class Keep, class Write>
Task<void> reply_list(Call& call, Table<T> table, Keep keep, Write write,
                      bool newest_first = false) {
  Result<ListQuery> query = read_list_query(call);
  if (!query) {
    co_await call.refuse(query.error());
    co_return;
  }
  query->by_id = !newest_first;
  auto work = [table = std::move(table), query = std::move(*query), keep = std::move(keep),
               write = std::move(write), newest_first] {
    auto items = select(table, query, keep);
    if (newest_first) sort_newest_first(items);
    return write_page<T>(items, query, id_of<T>, write);
  };
  ListPage page = co_await on_pool(call.executor(), std::move(work));
  co_await reply_page(call, std::move(page));
}

}  // namespace sluice::orchestrator::api
