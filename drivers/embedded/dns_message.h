// DNS messages (RFC 1035, RFC 6891): what a request asks, and a reply in wire form. The one door to
// the C library's DNS routines (<arpa/nameser.h>), which do the parsing, the names and their
// compression. Not ldns: its library loads OpenSSL, and no process has that beside BoringSSL.
//
// Pure; any thread. What comes in is anybody's: bounded by kDnsRequestBytes, and answered with
// FORMERR where it is none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice::drivers {

inline constexpr size_t kDnsRequestBytes = 4096;
inline constexpr size_t kDnsUdpBytes = 512;          // RFC 1035 4.2.1, without EDNS
inline constexpr size_t kDnsLongestUdpBytes = 4096;  // however much a client offers
inline constexpr size_t kDnsTcpBytes = 65'535;

enum class DnsType : uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kIxfr = 251,
  kAxfr = 252,
  kAny = 255
};

enum class DnsCode : uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16
};

struct DnsRequest {
  uint16_t id = 0;
  uint8_t opcode = 0;
  bool recursion_desired = false;
  bool checking_disabled = false;
  bool has_question = false;
  std::string name;  // as it came, without the final dot; odd bytes escaped
  uint16_t type = 0;
  uint16_t klass = 0;
  bool edns = false;
  size_t udp_bytes = kDnsUdpBytes;  // of a reply by UDP
  /// What it is answered with before anybody looks at the name.
  DnsCode fault = DnsCode::kNoError;
};

/// nullopt: nothing that is answered: too short for a header, or a reply itself.
std::optional<DnsRequest> parse_dns_request(std::string_view packet);

// The data of a record; names without the final dot.
using DnsA = std::array<uint8_t, 4>;
using DnsAaaa = std::array<uint8_t, 16>;
struct DnsNs {
  std::string target;
};
struct DnsCname {
  std::string target;
};
struct DnsPtr {
  std::string target;
};
struct DnsTxt {
  std::string text;
};
struct DnsSrv {
  uint16_t priority = 1;
  uint16_t weight = 1;
  uint16_t port = 0;
  std::string target;
};
struct DnsSoa {
  std::string server;
  std::string mailbox;
  uint32_t serial = 0;
  uint32_t refresh_s = 3600;
  uint32_t retry_s = 600;
  uint32_t expire_s = 86'400;
  uint32_t minimum_s = 0;
};
using DnsData = std::variant<DnsA, DnsAaaa, DnsNs, DnsCname, DnsPtr, DnsTxt, DnsSrv, DnsSoa>;

/// Everything changes at any moment: a time to live of 0, as Consul's.
struct DnsRecord {
  std::string name;
  DnsData data;
};

struct DnsReply {
  DnsCode code = DnsCode::kNoError;
  bool authoritative = false;
  std::vector<DnsRecord> answers;
  std::vector<DnsRecord> authority;
  std::vector<DnsRecord> extra;
};

/// At most `limit` bytes: answers that do not fit are cut off and the reply says so (TC); what is
/// extra is left out in silence (RFC 2181 section 9). A record whose name is none is left out too.
std::string write_dns_reply(const DnsRequest& request, const DnsReply& reply, size_t limit);

}  // namespace sluice::drivers
