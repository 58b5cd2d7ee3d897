// What the embedded catalog's DNS answers, by Consul's rules:
//
//   NAME.service[.DC].consul   TAG.NAME.service[.DC].consul   _NAME._TAG[.service][.DC].consul
//   NODE.node[.DC].consul      HEX.addr[.DC].consul           consul (SOA, NS)
//
// Instances that are critical are left out, the others come in random order, their times to live
// are 0. Other zones are refused: nothing is looked up elsewhere.
//
// Pure; the control loop's, for it looks at the table.
#pragma once

#include <cstdint>

#include "core/random.h"
#include "drivers/embedded/dns_message.h"
#include "drivers/embedded/read_json.h"
#include "drivers/embedded/table.h"

namespace sluice::drivers {

struct DnsZone {
  const CatalogTable& table;
  const ReadNode& node;
  uint32_t serial = 0;  // of the SOA
};

DnsReply answer_dns(const DnsRequest& request, const DnsZone& zone, Random& random);

}  // namespace sluice::drivers
