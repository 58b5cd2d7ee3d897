#include "drivers/embedded/dns_message.h"

#include <arpa/nameser.h>

#include <algorithm>
#include <cstring>

#include "core/check.h"

namespace sluice::drivers {

namespace {

constexpr uint16_t kQueryFlag = 0x8000;  // QR: set in a reply
constexpr uint16_t kAuthoritativeFlag = 0x0400;
constexpr uint16_t kTruncatedFlag = 0x0200;
constexpr uint16_t kRecursionDesiredFlag = 0x0100;
constexpr uint16_t kCheckingDisabledFlag = 0x0010;
constexpr size_t kOptBytes = 11;  // RFC 6891 6.1.2, without options
constexpr size_t kOptionHeadBytes = 4;
constexpr size_t kNamePointers = 128;  // names remembered for compression
constexpr size_t kStringBytes = 255;   // of a TXT's <character-string>

uint16_t get16(const unsigned char* at) {
  return static_cast<uint16_t>(at[0] << 8 | at[1]);
}

/// The name as the C library wants it.
const char* text_of(const std::string& name) {
  return name.empty() ? "." : name.c_str();
}

bool is_name(const std::string& name) {
  unsigned char wire[NS_MAXCDNAME];
  return name.find('\0') == std::string::npos &&
         ns_name_pton(text_of(name), wire, sizeof wire) >= 0;
}

/// RFC 6891 6.1.2: each option is a code, a length and so many bytes.
bool options_fit(std::string_view rdata) {
  while (!rdata.empty()) {
    if (rdata.size() < kOptionHeadBytes) return false;
    const size_t length = get16(reinterpret_cast<const unsigned char*>(rdata.data()) + 2);
    if (rdata.size() - kOptionHeadBytes < length) return false;
    rdata.remove_prefix(kOptionHeadBytes + length);
  }
  return true;
}

/// RFC 6891: the size that the client takes, and its version.
void read_edns(ns_msg& message, DnsRequest& request) {
  for (int i = 0; i < ns_msg_count(message, ns_s_ar); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_ar, i, &record) != 0) {
      request.fault = DnsCode::kFormErr;
      return;
    }
    if (ns_rr_type(record) != ns_t_opt) continue;
    const std::string_view options(reinterpret_cast<const char*>(ns_rr_rdata(record)),
                                   ns_rr_rdlen(record));
    if (request.edns || !options_fit(options)) {  // 6.1.1: one at most
      request.fault = DnsCode::kFormErr;
      return;
    }
    request.edns = true;
    request.udp_bytes = std::clamp<size_t>(ns_rr_class(record), kDnsUdpBytes, kDnsLongestUdpBytes);
    if ((ns_rr_ttl(record) >> 16 & 0xff) != 0) request.fault = DnsCode::kBadVers;
  }
}

/// A message of at most so many bytes. A put that returns false left it broken: roll_back() to
/// where it began.
class Writer {
 public:
  explicit Writer(size_t limit) : bytes_(limit, '\0') { pointers_[0] = begin(); }

  size_t size() const { return size_; }
  void set_limit(size_t limit) { limit_ = std::min(limit, bytes_.size()); }
  void roll_back(size_t to) {
    ns_name_rollback(begin() + to, pointers_.data(), pointers_.data() + pointers_.size());
    size_ = to;
  }
  bool put(std::string_view raw) {
    if (limit_ - size_ < raw.size()) return false;
    std::memcpy(begin() + size_, raw.data(), raw.size());
    size_ += raw.size();
    return true;
  }
  bool put16(uint16_t value) {
    const char raw[] = {static_cast<char>(value >> 8), static_cast<char>(value)};
    return put({raw, sizeof raw});
  }
  bool put32(uint32_t value) {
    return put16(static_cast<uint16_t>(value >> 16)) && put16(static_cast<uint16_t>(value));
  }
  /// `compressed`: not in an SRV's target (RFC 2782).
  bool put_name(const std::string& name, bool compressed = true) {
    const int length = ns_name_compress(text_of(name), begin() + size_, limit_ - size_,
                                        compressed ? pointers_.data() : nullptr,
                                        compressed ? pointers_.data() + pointers_.size() : nullptr);
    if (length < 0) return false;
    size_ += static_cast<size_t>(length);
    return true;
  }
  void set16(size_t at, uint16_t value) {
    bytes_[at] = static_cast<char>(value >> 8);
    bytes_[at + 1] = static_cast<char>(value);
  }
  std::string take() {
    bytes_.resize(size_);
    return std::move(bytes_);
  }

 private:
  unsigned char* begin() { return reinterpret_cast<unsigned char*>(bytes_.data()); }

  std::string bytes_;
  size_t size_ = 0;
  size_t limit_ = bytes_.size();
  std::array<const unsigned char*, kNamePointers> pointers_{};
};

struct PutData {
  Writer& out;

  template <size_t N>
  bool operator()(const std::array<uint8_t, N>& ip) const {
    return out.put({reinterpret_cast<const char*>(ip.data()), N});
  }
  bool operator()(const DnsNs& ns) const { return out.put_name(ns.target); }
  bool operator()(const DnsCname& cname) const { return out.put_name(cname.target); }
  bool operator()(const DnsPtr& ptr) const { return out.put_name(ptr.target); }
  bool operator()(const DnsTxt& txt) const {
    std::string_view rest = txt.text;
    do {
      const std::string_view part = rest.substr(0, kStringBytes);
      rest.remove_prefix(part.size());
      const char length = static_cast<char>(part.size());
      if (!out.put({&length, 1}) || !out.put(part)) return false;
    } while (!rest.empty());
    return true;
  }
  bool operator()(const DnsSrv& srv) const {
    return out.put16(srv.priority) && out.put16(srv.weight) && out.put16(srv.port) &&
           out.put_name(srv.target, false);
  }
  bool operator()(const DnsSoa& soa) const {
    return out.put_name(soa.server) && out.put_name(soa.mailbox) && out.put32(soa.serial) &&
           out.put32(soa.refresh_s) && out.put32(soa.retry_s) && out.put32(soa.expire_s) &&
           out.put32(soa.minimum_s);
  }
};

struct TypeOf {
  DnsType operator()(const DnsA&) const { return DnsType::kA; }
  DnsType operator()(const DnsAaaa&) const { return DnsType::kAaaa; }
  DnsType operator()(const DnsNs&) const { return DnsType::kNs; }
  DnsType operator()(const DnsCname&) const { return DnsType::kCname; }
  DnsType operator()(const DnsPtr&) const { return DnsType::kPtr; }
  DnsType operator()(const DnsTxt&) const { return DnsType::kTxt; }
  DnsType operator()(const DnsSrv&) const { return DnsType::kSrv; }
  DnsType operator()(const DnsSoa&) const { return DnsType::kSoa; }
};

struct HasNames {
  template <size_t N>
  bool operator()(const std::array<uint8_t, N>&) const {
    return true;
  }
  bool operator()(const DnsNs& ns) const { return is_name(ns.target); }
  bool operator()(const DnsCname& cname) const { return is_name(cname.target); }
  bool operator()(const DnsPtr& ptr) const { return is_name(ptr.target); }
  bool operator()(const DnsTxt&) const { return true; }
  bool operator()(const DnsSrv& srv) const { return is_name(srv.target); }
  bool operator()(const DnsSoa& soa) const { return is_name(soa.server) && is_name(soa.mailbox); }
};

bool put_record(Writer& out, const DnsRecord& record) {
  const size_t begin = out.size();
  const auto type = static_cast<uint16_t>(std::visit(TypeOf{}, record.data));
  if (out.put_name(record.name) && out.put16(type) && out.put16(ns_c_in) && out.put32(0)) {
    const size_t length_at = out.size();
    if (out.put16(0) && std::visit(PutData{out}, record.data)) {
      out.set16(length_at, static_cast<uint16_t>(out.size() - length_at - 2));
      return true;
    }
  }
  out.roll_back(begin);
  return false;
}

/// How many were put; `all`: whether nothing was cut off.
uint16_t put_records(Writer& out, const std::vector<DnsRecord>& records, bool& all) {
  uint16_t count = 0;
  for (const DnsRecord& record : records) {
    if (!is_name(record.name) || !std::visit(HasNames{}, record.data)) continue;
    if (!put_record(out, record)) {
      all = false;
      break;
    }
    ++count;
  }
  return count;
}

}  // namespace

std::optional<DnsRequest> parse_dns_request(std::string_view packet) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(packet.data());
  if (packet.size() < NS_HFIXEDSZ || packet.size() > kDnsRequestBytes) return std::nullopt;
  const uint16_t flags = get16(bytes + 2);
  if ((flags & kQueryFlag) != 0) return std::nullopt;
  DnsRequest request{.id = get16(bytes),
                     .opcode = static_cast<uint8_t>(flags >> 11 & 0xf),
                     .recursion_desired = (flags & kRecursionDesiredFlag) != 0,
                     .checking_disabled = (flags & kCheckingDisabledFlag) != 0};
  ns_msg message;
  ns_rr question;
  if (request.opcode != ns_o_query) {
    request.fault = DnsCode::kNotImp;
    return request;
  }
  if (ns_initparse(bytes, static_cast<int>(packet.size()), &message) != 0 ||
      ns_msg_count(message, ns_s_qd) != 1 || ns_parserr(&message, ns_s_qd, 0, &question) != 0) {
    request.fault = DnsCode::kFormErr;
    return request;
  }
  request.has_question = true;
  request.name = ns_rr_name(question);
  if (request.name == ".") request.name.clear();
  request.type = static_cast<uint16_t>(ns_rr_type(question));
  request.klass = static_cast<uint16_t>(ns_rr_class(question));
  read_edns(message, request);
  return request;
}

std::string write_dns_reply(const DnsRequest& request, const DnsReply& reply, size_t limit) {
  CHECK(limit >= kDnsUdpBytes && limit <= kDnsTcpBytes);
  Writer out(limit);
  uint16_t counts[4] = {};
  CHECK(out.put(std::string(NS_HFIXEDSZ, '\0')));
  if (request.has_question) {
    // 255 bytes of a name at most.
    CHECK(out.put_name(request.name) && out.put16(request.type) && out.put16(request.klass));
    counts[0] = 1;
  }
  if (request.edns) out.set_limit(limit - kOptBytes);
  bool all = true, all_extra = true;
  counts[1] = put_records(out, reply.answers, all);
  if (all) counts[2] = put_records(out, reply.authority, all);
  if (all) counts[3] = put_records(out, reply.extra, all_extra);
  const auto code = static_cast<uint16_t>(reply.code);
  if (request.edns) {
    out.set_limit(limit);
    // The root's name; what we take; the code's upper bits, version 0 and no flag.
    CHECK(out.put({"\0", 1}) && out.put16(ns_t_opt) && out.put16(kDnsRequestBytes) &&
          out.put32(static_cast<uint32_t>(code >> 4) << 24) && out.put16(0));
    ++counts[3];
  }
  out.set16(0, request.id);
  out.set16(
      2, static_cast<uint16_t>(
             kQueryFlag | request.opcode << 11 | (reply.authoritative ? kAuthoritativeFlag : 0) |
             (all ? 0 : kTruncatedFlag) | (request.recursion_desired ? kRecursionDesiredFlag : 0) |
             (request.checking_disabled ? kCheckingDisabledFlag : 0) | (code & 0xf)));
  for (size_t i = 0; i < 4; ++i) out.set16(4 + 2 * i, counts[i]);
  return out.take();
}

}  // namespace sluice::drivers
