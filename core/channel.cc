#include "core/channel.h"

namespace sluice {

EventHandler::Ready Channel::note_tls(EventHandler::Ready ready) {
  const tls::Session::Readiness meaning =
      tls_->note(socket_, ready.readable, ready.writable, ready.closed);
  ready.readable = meaning.readable;
  ready.writable = meaning.writable;
  hear_of_unsent();
  return ready;
}

tls::Session::Handshake Channel::handshake() {
  const tls::Session::Handshake state = tls_->handshake(socket_);
  if (state == tls::Session::Handshake::kDone) readable_ |= tls_->readable();
  hear_of_unsent();
  return state;
}

IoResult Channel::read_tls(char* into, size_t size) {
  const IoResult got = tls_->read(socket_, into, size);
  readable_ = tls_->readable();
  hear_of_unsent();
  return got;
}

IoResult Channel::write_tls(const iovec* parts, int count, size_t size) {
  return noted(tls_->write(socket_, parts, count), size);
}

bool Channel::quiet() {
  if (!readable_) return true;
  if (!tls_) return false;
  char byte;
  return read_tls(&byte, 1).state == IoState::kBlocked;
}

}  // namespace sluice
