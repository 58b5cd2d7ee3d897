#include "drivers/embedded/dns_answer.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <span>
#include <utility>

#include "core/ascii.h"
#include "core/digest.h"

namespace sluice::drivers {

using orchestrator::CheckStatus;

namespace {

constexpr uint16_t kClassIn = 1;
constexpr uint16_t kClassAny = 255;
constexpr std::string_view kZone = "consul";
constexpr std::string_view kReverseZone = "arpa";

using Labels = std::vector<std::string>;

Labels split(std::string_view name) {
  Labels labels;
  while (!name.empty()) {
    const size_t dot = name.find('.');
    labels.emplace_back(name.substr(0, dot));
    name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
  }
  return labels;
}

std::string join(std::span<const std::string> labels) {
  return fmt::format("{}", fmt::join(labels, "."));
}

bool is_kind(const std::string& label) {
  constexpr std::string_view kKinds[] = {"service", "connect", "virtual", "ingress",
                                         "node",    "query",   "addr"};
  return std::ranges::find(kKinds, label) != std::end(kKinds);
}

/// An address of either family; neither: a host's name.
struct Ip {
  std::optional<DnsA> v4;
  std::optional<DnsAaaa> v6;

  bool operator==(const Ip&) const = default;
  bool any() const { return v4 || v6; }
  std::string hex() const {
    const auto bytes = [](const auto& ip) {
      return to_hex({reinterpret_cast<const char*>(ip.data()), ip.size()});
    };
    return v4 ? bytes(*v4) : bytes(*v6);
  }
};

bool in_zone(std::string_view name, std::string_view zone) {
  return name == zone || (name.ends_with(zone) && name[name.size() - zone.size() - 1] == '.');
}

Ip parse_ip(const std::string& text) {
  Ip ip;
  DnsA v4;
  DnsAaaa v6;
  if (inet_pton(AF_INET, text.c_str(), v4.data()) == 1) {
    ip.v4 = v4;
  } else if (inet_pton(AF_INET6, text.c_str(), v6.data()) == 1) {
    ip.v6 = v6;
  }
  return ip;
}

/// The address that a name of the reverse zone stands for: RFC 1035 3.5, RFC 3596 2.5.
Ip reversed_ip(std::string_view name) {
  constexpr std::string_view kFour = ".in-addr.arpa", kSix = ".ip6.arpa";
  const bool six = name.ends_with(kSix);
  if (!six && !name.ends_with(kFour)) return {};
  name.remove_suffix(six ? kSix.size() : kFour.size());
  Labels labels = split(name);
  if (labels.size() != (six ? 32 : 4)) return {};
  std::ranges::reverse(labels);
  std::string text;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (six && labels[i].size() != 1) return {};
    if (i > 0 && (!six || i % 4 == 0)) text += six ? ':' : '.';
    text += labels[i];
  }
  return parse_ip(text);
}

class Answer {
 public:
  Answer(const DnsRequest& request, const DnsZone& zone, Random& random)
      : request_(request), zone_(zone), random_(random), type_(DnsType{request.type}) {}

  DnsReply make();

 private:
  void service(std::string name, std::string tag);
  void node(const std::string& name);
  void address(const std::string& hex);
  void reverse(const Ip& ip);
  void name_servers(std::vector<DnsRecord>& into);
  void not_found() {
    reply_.code = DnsCode::kNxDomain;
    no_data();
  }
  void no_data() { reply_.authority.push_back(start_of_authority()); }
  DnsRecord start_of_authority() const {
    return {std::string(kZone),
            DnsSoa{.server = "ns.consul", .mailbox = "hostmaster.consul", .serial = zone_.serial}};
  }

  /// Whether an A or AAAA record answers this type of question: also TXT, for which Consul gives a
  /// service's addresses.
  bool wants(const Ip& ip) const {
    if (type_ == DnsType::kSrv || type_ == DnsType::kAny || type_ == DnsType::kTxt) return true;
    return type_ == (ip.v4 ? DnsType::kA : DnsType::kAaaa);
  }
  static DnsRecord address_record(std::string name, const Ip& ip) {
    return {std::move(name), ip.v4 ? DnsData(*ip.v4) : DnsData(*ip.v6)};
  }
  DnsRecord node_text(std::string name) const {
    return {std::move(name), DnsTxt{"consul-network-segment="}};
  }
  std::string node_name() const {
    return fmt::format("{}.node.{}.{}", zone_.node.name, zone_.node.datacenter, kZone);
  }
  std::vector<const CatalogRecord*> instances(const std::string& name, const std::string& tag);
  void add_srv(const CatalogRecord& instance);
  void add_addresses(const std::vector<const CatalogRecord*>& found);

  const DnsRequest& request_;
  const DnsZone& zone_;
  Random& random_;
  const DnsType type_;
  DnsReply reply_;
  std::set<std::string> targets_;  // whose addresses are told already
};

DnsReply Answer::make() {
  const std::string name = ascii::lower(request_.name);
  const bool reverse_zone = in_zone(name, kReverseZone);
  if ((request_.klass != kClassIn && request_.klass != kClassAny) ||
      (!reverse_zone && !in_zone(name, kZone))) {
    reply_.code = DnsCode::kRefused;
    return std::move(reply_);
  }
  reply_.authoritative = true;
  if (type_ == DnsType::kAxfr || type_ == DnsType::kIxfr) {
    reply_.code = DnsCode::kNotImp;
    return std::move(reply_);
  }
  if (reverse_zone) {
    reverse(reversed_ip(name));
    return std::move(reply_);
  }
  if (type_ == DnsType::kSoa) {
    reply_.answers.push_back(start_of_authority());
    name_servers(reply_.authority);
    return std::move(reply_);
  }
  if (type_ == DnsType::kNs) {
    name_servers(reply_.answers);
    return std::move(reply_);
  }
  Labels labels = split(name);
  labels.pop_back();  // the zone
  const std::span<const std::string> all(labels);
  size_t at = labels.size();
  std::string kind;
  std::span<const std::string> parts, behind;
  while (at-- > 0 && kind.empty()) {
    if (is_kind(labels[at])) {
      kind = labels[at];
      parts = all.first(at);
      behind = all.subspan(at + 1);
    } else if (type_ == DnsType::kSrv && labels[at].starts_with('_')) {
      kind = "service";  // _NAME._TAG.consul
      parts = all.first(at + 1);
      behind = all.subspan(at + 1);
    }
  }
  const bool here =
      behind.empty() || (behind.size() == 1 && behind[0] == ascii::lower(zone_.node.datacenter));
  if (parts.empty() || !here) {
    not_found();
  } else if (kind == "service") {
    // RFC 2782; "_tcp" is no tag.
    if (parts.size() == 2 && parts[0].starts_with('_') && parts[1].starts_with('_')) {
      service(parts[0].substr(1), parts[1] == "_tcp" ? "" : parts[1].substr(1));
    } else {
      service(parts.back(), join(parts.first(parts.size() - 1)));
    }
  } else if (kind == "node") {
    node(join(parts));
  } else if (kind == "addr" && parts.size() == 1) {
    address(parts[0]);
  } else {
    not_found();
  }
  return std::move(reply_);
}

std::vector<const CatalogRecord*> Answer::instances(const std::string& name,
                                                    const std::string& tag) {
  std::vector<const CatalogRecord*> found;
  for (const auto& [id, record] : zone_.table.records()) {
    if (ascii::lower(record.registration.name) != name) continue;
    if (record.status() == CheckStatus::kCritical) continue;
    const bool tagged =
        tag.empty() || std::ranges::any_of(record.registration.tags, [&](const std::string& held) {
          return ascii::lower(held) == tag;
        });
    if (tagged) found.push_back(&record);
  }
  for (size_t i = found.size(); i > 1; --i) std::swap(found[i - 1], found[random_.below(i)]);
  return found;
}

void Answer::service(std::string name, std::string tag) {
  const std::vector<const CatalogRecord*> found = instances(name, tag);
  if (found.empty()) {
    not_found();
    return;
  }
  if (type_ == DnsType::kSrv) {
    std::set<std::pair<std::string, uint16_t>> seen;
    for (const CatalogRecord* instance : found) {
      const auto& at = instance->registration;
      if (seen.emplace(at.address, at.port).second) add_srv(*instance);
    }
    if (!reply_.answers.empty()) reply_.extra.push_back(node_text(node_name()));
  } else {
    add_addresses(found);
  }
  if (reply_.answers.empty()) no_data();
}

void Answer::add_srv(const CatalogRecord& instance) {
  const std::string& own = instance.registration.address;
  const Ip ip = parse_ip(own.empty() ? zone_.node.address : own);
  std::string target;
  if (own.empty()) {
    target = node_name();
  } else if (ip.any()) {
    target = fmt::format("{}.addr.{}.{}", ip.hex(), zone_.node.datacenter, kZone);
  } else {
    target = own;
  }
  const auto& weights = instance.registration.weights;
  const bool passing = instance.status() == CheckStatus::kPassing;
  reply_.answers.push_back({request_.name, DnsSrv{.weight = static_cast<uint16_t>(
                                                      passing ? weights.passing : weights.warning),
                                                  .port = instance.registration.port,
                                                  .target = target}});
  if (ip.any() && targets_.insert(target).second) {
    reply_.extra.push_back(address_record(target, ip));
  }
}

void Answer::add_addresses(const std::vector<const CatalogRecord*>& found) {
  std::set<std::string> seen;
  std::string alias;
  for (const CatalogRecord* instance : found) {
    const std::string& own = instance->registration.address;
    const std::string& text = own.empty() ? zone_.node.address : own;
    if (!seen.insert(text).second) continue;
    const Ip ip = parse_ip(text);
    if (!ip.any()) {
      if (alias.empty()) alias = text;
    } else if (wants(ip)) {
      reply_.answers.push_back(address_record(request_.name, ip));
    }
  }
  // An alias stands alone (RFC 1034 3.6.2).
  if (reply_.answers.empty() && !alias.empty()) {
    reply_.answers.push_back({request_.name, DnsCname{alias}});
  }
}

void Answer::node(const std::string& name) {
  if (name != ascii::lower(zone_.node.name)) {
    not_found();
    return;
  }
  const Ip ip = parse_ip(zone_.node.address);
  const bool text = type_ == DnsType::kTxt || type_ == DnsType::kAny;
  if (type_ != DnsType::kTxt && type_ != DnsType::kSrv && ip.any() && wants(ip)) {
    reply_.answers.push_back(address_record(request_.name, ip));
  }
  if (text) {
    reply_.answers.push_back(node_text(request_.name));
  } else if (type_ == DnsType::kA || type_ == DnsType::kAaaa) {
    reply_.extra.push_back(node_text(request_.name));
  }
  if (reply_.answers.empty()) no_data();
}

void Answer::address(const std::string& hex) {
  constexpr size_t kLongest = 32;
  std::string bytes;
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (size_t i = 0; i + 1 < hex.size() && hex.size() <= kLongest; i += 2) {
    const int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0) break;
    bytes += static_cast<char>(high << 4 | low);
  }
  Ip ip;
  if (hex.size() == 8 && bytes.size() == 4) {
    std::copy(bytes.begin(), bytes.end(), ip.v4.emplace().begin());
  } else if (hex.size() == kLongest && bytes.size() == 16) {
    std::copy(bytes.begin(), bytes.end(), ip.v6.emplace().begin());
  } else {
    not_found();
    return;
  }
  const DnsType own = ip.v4 ? DnsType::kA : DnsType::kAaaa;
  std::vector<DnsRecord>& into =
      type_ == own || type_ == DnsType::kAny ? reply_.answers : reply_.extra;
  into.push_back(address_record(request_.name, ip));
  if (reply_.answers.empty()) no_data();
}

/// Whatever the type: the node with the address, or else the first service there. Of others we
/// know nothing, and ask nobody.
void Answer::reverse(const Ip& ip) {
  std::string name;
  if (ip.any() && ip == parse_ip(zone_.node.address)) name = node_name();
  for (const auto& [id, record] : zone_.table.records()) {
    const auto& at = record.registration;
    if (!name.empty() || !ip.any() || parse_ip(at.address) != ip) continue;
    name = fmt::format("{}.service.{}.{}", at.name, zone_.node.datacenter, kZone);
  }
  if (name.empty()) {
    reply_.authoritative = false;
    reply_.code = DnsCode::kServFail;
    return;
  }
  reply_.answers.push_back({request_.name, DnsPtr{std::move(name)}});
  if (type_ == DnsType::kSoa) no_data();
}

void Answer::name_servers(std::vector<DnsRecord>& into) {
  into.push_back({std::string(kZone), DnsNs{node_name()}});
  const Ip ip = parse_ip(zone_.node.address);
  if (ip.any()) reply_.extra.push_back(address_record(node_name(), ip));
}

}  // namespace

DnsReply answer_dns(const DnsRequest& request, const DnsZone& zone, Random& random) {
  if (request.fault != DnsCode::kNoError) return {.code = request.fault};
  return Answer(request, zone, random).make();
}

}  // namespace sluice::drivers
