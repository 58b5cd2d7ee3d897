// core/http1 heads: a request or a response, whole and byte by byte, comes out the same.
#include "core/http1.h"

#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

namespace {

http1::ReadResult read(http1::HeadReader& reader, bool request, std::string_view bytes,
                       http1::Head& head) {
  const http1::Limits limits;
  if (request) return reader.read_request(bytes, limits, head);
  return reader.read_response(bytes, limits, http1::Method::kGet, head);
}

}  // namespace

void run(std::string_view input) {
  static http1::Head whole, pieces;
  for (const bool request : {true, false}) {
    http1::HeadReader one, many;
    const http1::ReadResult at_once = read(one, request, input, whole);
    http1::ReadResult grown{http1::ReadState::kMore};
    for (size_t n = 1; n <= input.size() && grown.state == http1::ReadState::kMore; ++n) {
      grown = read(many, request, input.substr(0, n), pieces);
    }
    if (input.empty()) continue;
    CHECK(grown.state == at_once.state);
    if (at_once.state != http1::ReadState::kDone) continue;
    CHECK(whole.size == pieces.size && whole.size <= input.size());
    CHECK(whole.header_count == pieces.header_count && whole.framing == pieces.framing);
    CHECK(whole.content_length == pieces.content_length && whole.keep_alive == pieces.keep_alive);
    for (uint16_t i = 0; i < whole.header_count; ++i) {
      const http1::Header& header = whole.headers[i];
      // What could end a line or a name elsewhere never gets this far.
      CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == header.value.npos);
      CHECK(!header.name.empty() && header.name.find_first_of(" \t:\r\n") == header.name.npos);
    }
  }
}

}  // namespace sluice::fuzz
