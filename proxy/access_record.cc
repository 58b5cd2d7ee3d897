#include "proxy/access_record.h"

#include <cstring>

#include "core/log.h"
#include "proxy/router.h"

namespace sluice::proxy {

namespace {

template <size_t N>
std::string_view copy_to(std::array<char, N>& room, std::string_view text) {
  const size_t size = text.size() < N ? text.size() : N;
  if (size > 0) std::memcpy(room.data(), text.data(), size);
  return {room.data(), size};
}

}  // namespace

AccessRecorder::AccessRecorder(Reactor& reactor, const AccessFormat* format, LineWriter* writer,
                               size_t max)
    : reactor_(reactor), format_(format), records_(max) {
  if (format_ != nullptr) buffer_ = std::make_unique<AccessBuffer>(*format, *writer);
}

AccessRecorder::~AccessRecorder() {
  flush();
  reactor_.timers().remove(*this);
}

AccessRecord* AccessRecorder::open() {
  if (format_ == nullptr) return nullptr;
  AccessRecord* record = records_.make();
  if (record == nullptr) return nullptr;
  record->begin_ns = steady_ns();
  return record;
}

AccessRecord* AccessRecorder::open(const http1::Head& head, const ClientFacts& client) {
  AccessRecord* record = open();
  if (record == nullptr) return nullptr;
  record->request = format_->read(head, client);
  record->has_request = true;
  return record;
}

void AccessRecorder::note_route(AccessRecord* record, const http1::Head* head,
                                const RouteDecision& decision, TableReader::Pin pin) {
  if (record == nullptr) return;
  record->upstream = decision.endpoint;
  record->service = decision.service;
  record->pin = std::move(pin);
  // The client's own path lies in the request's bytes, as the target does.
  record->upstream_target =
      head != nullptr && decision.path.data() == head->path.data() && !record->kept
          ? decision.path
          : copy_to(record->target_room, decision.path);
}

void AccessRecorder::keep(AccessRecord* record) {
  if (record == nullptr || record->kept) return;
  record->kept = true;
  if (record->has_request) format_->keep(record->request, record->room.data());
  if (record->upstream_target.data() != record->target_room.data()) {
    record->upstream_target = copy_to(record->target_room, record->upstream_target);
  }
}

void AccessRecorder::keep_without_pin(AccessRecord* record) {
  if (record == nullptr) return;
  keep(record);
  record->service = copy_to(record->service_room, record->service);
  record->pin = TableReader::Pin();
}

void AccessRecorder::close(AccessRecord* record, const ClientFacts& client, uint16_t status,
                           uint64_t body_bytes) {
  if (record == nullptr) return;
  AccessEvent event;
  event.request = record->has_request ? &record->request : nullptr;
  char ip[SocketAddress::kMaxText];
  event.remote_host = {ip, client.peer.write_ip(ip)};
  event.remote_port = client.peer.port();
  event.status = status;
  event.body_bytes = body_bytes;
  event.duration_ns = steady_ns() - record->begin_ns;
  event.end_wall_ns = system_wall_ns();
  event.upstream = record->upstream;
  event.service = record->service;
  event.upstream_target = record->upstream_target;
  add(event);
  records_.free(record);
}

void AccessRecorder::refused(const ClientFacts& client, const http1::Head* head, uint16_t status,
                             uint64_t body_bytes) {
  if (format_ == nullptr) return;
  AccessEvent event;
  AccessRequest request;
  if (head != nullptr) {
    request = format_->read(*head, client);
    event.request = &request;
  }
  char ip[SocketAddress::kMaxText];
  event.remote_host = {ip, client.peer.write_ip(ip)};
  event.remote_port = client.peer.port();
  event.status = status;
  event.body_bytes = body_bytes;
  event.end_wall_ns = system_wall_ns();
  add(event);
}

void AccessRecorder::add(const AccessEvent& event) {
  if (buffer_->add(event)) reactor_.timers().arm(*this, reactor_.now_ms() + AccessBuffer::kFlushMs);
}

void AccessRecorder::flush() {
  if (buffer_) buffer_->flush();
}

void AccessRecorder::on_timer() {
  buffer_->flush();
}

}  // namespace sluice::proxy
