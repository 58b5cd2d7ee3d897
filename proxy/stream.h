// The two ends of an exchange as Forward sees them. HTTP/1 implements each with a whole connection
// (proxy/http1_client.h, proxy/http1_upstream.h); HTTP/2 will with one of a connection's streams.
//
// Owner: the connection. Thread: the reactor's. No call calls back into the Forward that made it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/channel.h"
#include "core/http1.h"
#include "proxy/headers.h"

namespace sluice::proxy {

class Endpoint;
class Tunnel;

/// A direction's bytes: read from one stream, written to the other.
class BodyStream {
 public:
  enum class Source : uint8_t {
    kData,   // peek() is not empty
    kWait,   // nothing now; Forward is told when there is
    kEnded,  // the body is whole and passed on
    kBad,    // its framing is broken
    kTooLarge,
    kLost,  // the peer is gone before the end
  };
  /// Looks for payload, reading from the peer where that takes no waiting.
  virtual Source pull() = 0;
  virtual std::string_view peek() const = 0;
  virtual void pass(size_t n) = 0;
  virtual std::string_view trailers() const = 0;

  /// How much was taken; less than all says that credit is used up and that its return will be
  /// told.
  virtual size_t write_body(std::string_view run) = 0;
  virtual void end_body(std::string_view trailers) = 0;
  /// Sends what is built.
  virtual void flush() = 0;

  /// Payload that is still to come, from which on two splices cost less than a read and a write.
  static constexpr uint64_t kSpliceBytes = 32 * 1024;
  /// Whether payload can go from socket to socket without passing through memory is asked of each
  /// pair.
  enum class Splice : uint8_t { kYes, kNo, kLater };
  /// The source's side: nothing of the payload is buffered, and at least `least` bytes follow,
  /// `left` in all.
  virtual Splice splice_from(uint64_t least, Channel*& channel, uint64_t& left) = 0;
  /// `n` bytes were taken from the socket; `end`: it has ended.
  virtual void spliced(uint64_t n, bool end) = 0;
  /// The sink's side: the payload goes out as it is, and nothing built waits in front of it.
  virtual Splice splice_to(Channel*& channel) = 0;
  /// The socket took less than there was: credit is used up.
  virtual void splice_blocked() = 0;

 protected:
  ~BodyStream() = default;
};

class ClientStream : public BodyStream {
 public:
  /// The request's head, again: its bytes are kept until the exchange is over or they were dropped.
  virtual const http1::Head& request_head() = 0;
  virtual const ClientFacts& facts() const = 0;
  /// It takes no more of the answer for now.
  [[nodiscard]] virtual bool blocked() const = 0;
  /// Back to the start of the body, for another endpoint.
  virtual void rewind() = 0;
  virtual void send_interim(const http1::Head& head) = 0;
  /// `cookie`: the name of a cookie to set to `cookie_id`; "": none.
  virtual void send_head(const http1::Head& head, std::string_view cookie, uint64_t cookie_id) = 0;
  /// A whole answer of our own.
  struct Answer {
    uint16_t status;
    std::string_view detail;  // 3xx: where to; 401: the challenge
    bool no_route = false;    // the page for requests without a route is the body
  };
  /// Returns the body's size.
  virtual uint64_t answer(const Answer& answer) = 0;
  /// Gives the connection and the bytes on their way to the tunnel; the stream is over then. False
  /// if it cannot be.
  virtual bool move_to(Tunnel& tunnel) = 0;
  /// The response is cut off, and the client must see it. cut() keeps what was passed on, and wants
  /// finish() behind it; abort() is the end.
  virtual void cut() = 0;
  virtual void abort() = 0;
  /// The exchange is over; what is built still goes out.
  virtual void finish() = 0;

 protected:
  ~ClientStream() = default;
};

class UpstreamStream : public BodyStream {
 public:
  /// Builds the head; it goes out once the stream is open. False if it is larger than a block.
  virtual bool build_head(const http1::Head& head, const RequestEdit& edit,
                          const ClientFacts& client) = 0;
  virtual bool move_to(Tunnel& tunnel) = 0;
  /// The socket takes no more of the request for now.
  virtual bool blocked() const = 0;
  /// The socket takes nothing of the request any more; what the peer has said can still be read.
  virtual void splice_failed() = 0;
  /// All of the request was written: a response is due.
  virtual void await_response() = 0;
  /// The stream served its exchange; the connection may serve others.
  virtual void release() = 0;
  virtual void close() = 0;

 protected:
  ~UpstreamStream() = default;
};

}  // namespace sluice::proxy
