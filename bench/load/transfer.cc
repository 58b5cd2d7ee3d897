#include "bench/load/transfer.h"

#include <errno.h>
#include <openssl/err.h>
#include <sys/socket.h>

namespace load {

ssize_t receive(Conn& c, char* room, size_t size) {
  if (c.out_of_data) return -1;
  for (;;) {
    const ssize_t n = c.ssl != nullptr ? SSL_read(c.ssl, room, static_cast<int>(size))
                                       : recv(c.fd, room, size, 0);
    if (n > 0) {
      // A short read has emptied the socket. What TLS holds back comes with the next records.
      if (c.ssl == nullptr && static_cast<size_t>(n) < size) c.out_of_data = true;
      return n;
    }
    if (c.ssl != nullptr) {
      const int error = SSL_get_error(c.ssl, static_cast<int>(n));
      ERR_clear_error();
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        c.out_of_data = true;
        return -1;
      }
      if (error == SSL_ERROR_ZERO_RETURN) return 0;
      return error == SSL_ERROR_SYSCALL && n == 0 ? 0 : -2;
    }
    if (n == 0) return 0;
    if (errno == EAGAIN) {
      c.out_of_data = true;
      return -1;
    }
    if (errno != EINTR) return -2;
  }
}

bool transmit(Conn& c, std::string_view bytes, size_t& sent) {
  while (sent < bytes.size() && !c.full) {
    const size_t left = bytes.size() - sent;
    const ssize_t n = c.ssl != nullptr
                          ? SSL_write(c.ssl, bytes.data() + sent, static_cast<int>(left))
                          : send(c.fd, bytes.data() + sent, left, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
      continue;
    }
    if (c.ssl != nullptr) {
      const int error = SSL_get_error(c.ssl, static_cast<int>(n));
      ERR_clear_error();
      if (error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_WANT_READ) return false;
      c.full = true;
    } else if (errno == EAGAIN) {
      c.full = true;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace load
