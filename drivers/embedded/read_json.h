// The embedded catalog's records as the JSON of Consul's read API, field by field as Consul 1.12
// writes them.
//
// Pure; the control loop's, for it looks at the table.
#pragma once

#include <string>

#include "core/json.h"
#include "drivers/embedded/table.h"

namespace sluice::drivers {

/// The one node of the embedded catalog.
struct ReadNode {
  std::string id;
  std::string name;
  std::string address;
  std::string datacenter = "dc1";
};

/// As it stands alone, and in an entry of /v1/health/service.
Json node_json(const ReadNode& node, uint64_t index);
/// As in /v1/health/service and /v1/catalog/node.
Json service_json(const CatalogRecord& record);
/// As in /v1/catalog/service: the node's and the service's fields in one.
Json catalog_service_json(const ReadNode& node, const CatalogRecord& record);
/// As in /v1/agent/services.
Json agent_service_json(const ReadNode& node, const CatalogRecord& record);
/// `indexed`: false for /v1/agent/checks, which knows none.
Json check_json(const ReadNode& node, const CatalogRecord& record, size_t check, bool indexed);
/// The check that each node of Consul has: that it is there, as whoever reads this sees.
Json node_check_json(const ReadNode& node, uint64_t index);
/// The keys of check_json are unique over the node.
std::string check_key(const CatalogRecord& record, size_t check);

}  // namespace sluice::drivers
