// AccessRecord: what the access log will say of an exchange or a tunnel that is under way, and
// AccessRecorder, which holds a reactor's records and writes their lines. Without an access log
// there are no records.
//
// Owner: Worker owns the recorder; the exchange or tunnel holds its record. Thread: the reactor's.
// Limits: as many records as clients and tunnels; a text that must outlive the request's bytes is
// cut.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/reactor.h"
#include "core/slab.h"
#include "proxy/access_log.h"
#include "proxy/headers.h"
#include "proxy/table_reader.h"

namespace sluice::proxy {

struct RouteDecision;

struct AccessRecord {
  static constexpr size_t kTargetBytes = 1024;
  static constexpr size_t kServiceBytes = 256;

  AccessRequest request;
  bool has_request = false;
  bool kept = false;  // request's views are into `room`
  int64_t begin_ns = 0;
  const Endpoint* upstream = nullptr;
  std::string_view service;
  std::string_view upstream_target;
  TableReader::Pin pin;  // keeps the service's text and the endpoint
  std::array<char, AccessFormat::kRoomBytes> room;
  std::array<char, kTargetBytes> target_room;
  std::array<char, kServiceBytes> service_room;
};

class AccessRecorder final : private Timer {
 public:
  /// format and writer: both or neither; they outlive this.
  AccessRecorder(Reactor& reactor, const AccessFormat* format, LineWriter* writer, size_t max);
  ~AccessRecorder();

  bool on() const { return format_ != nullptr; }
  /// nullptr if there is no access log, or at the limit.
  AccessRecord* open();  // of a tunnel
  AccessRecord* open(const http1::Head& head, const ClientFacts& client);
  void note_route(AccessRecord* record, const http1::Head* head, const RouteDecision& decision,
                  TableReader::Pin pin);
  /// The request's bytes are about to move or go.
  void keep(AccessRecord* record);
  /// The record outlives its exchange: it keeps its texts and no table.
  void keep_without_pin(AccessRecord* record);
  /// Writes the line and frees the record; of nullptr nothing.
  void close(AccessRecord* record, const ClientFacts& client, uint16_t status, uint64_t body_bytes);
  /// A request that was refused before it was one; `head`: where it could be read at least.
  void refused(const ClientFacts& client, const http1::Head* head, uint16_t status,
               uint64_t body_bytes);
  void flush();

 private:
  void on_timer() override;
  void add(const AccessEvent& event);

  Reactor& reactor_;
  const AccessFormat* format_;
  std::unique_ptr<AccessBuffer> buffer_;
  Slab<AccessRecord> records_;
};

}  // namespace sluice::proxy
