// Lists that come in pages: -filter, -per-page and -page-token, which a command has among its
// flags, and the word on how to go on.
//
// Thread: the session's.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/cli/session.h"

namespace sluice::orchestrator::cli {

inline constexpr FlagSpec kFilterFlag = {"filter", FlagSpec::Kind::kValue,
                                         "only what it holds for, such as 'Status == \"ready\"'"};
inline constexpr FlagSpec kPerPageFlag = {"per-page", FlagSpec::Kind::kCount,
                                          "at most this many (all)"};
inline constexpr FlagSpec kPageTokenFlag = {"page-token", FlagSpec::Kind::kValue,
                                            "where the page begins, as the last one said"};

/// The flags of a verb that does nothing but list.
inline constexpr FlagSpec kPageFlags[] = {
    kFilterFlag,
    kPerPageFlag,
    kPageTokenFlag,
    {"verbose", FlagSpec::Kind::kBool, "full ids"},
    {"json", FlagSpec::Kind::kBool, "print the API's JSON"},
    {"t", FlagSpec::Kind::kValue, "print by a template such as {{.ID}}"},
};

/// The page of the list that the flags ask for.
Task<Result<ApiReply>> get_page(Session& session, std::string path, Query query = {});

/// How to get the next page, where there is one.
void print_next_page(Session& session, std::string_view verb, const ApiReply& page);

}  // namespace sluice::orchestrator::cli
