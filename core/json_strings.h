// Lists and maps of strings as Json.
//
// Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"

namespace sluice {

Json string_list(const std::vector<std::string>& items);
Json string_map(const std::map<std::string, std::string>& items);

}  // namespace sluice
