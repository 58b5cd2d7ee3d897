#include "core/json_strings.h"

namespace sluice {

Json string_list(const std::vector<std::string>& items) {
  Json list = Json::array();
  for (const std::string& item : items) list.push(item);
  return list;
}

Json string_map(const std::map<std::string, std::string>& items) {
  Json map = Json::object();
  for (const auto& [key, value] : items) map.set(key, value);
  return map;
}

}  // namespace sluice
