// PROXY headers: more bytes never change what the first ones said, and what is read is written and
// read the same.
#include "proxy/proxy_protocol.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

using namespace proxy;

void run(std::string_view text) {
  const std::string bytes = unhex(text);
  const std::string_view input = bytes;
  using State = ProxyHeader::State;
  ProxyHeader before;
  for (size_t size = 0; size <= input.size() && size < 300; ++size) {
    const ProxyHeader now = read_proxy_header(input.substr(0, size));
    if (before.state != State::kMore) {
      CHECK(now.state == before.state && now.size == before.size);
    }
    CHECK(now.state != State::kDone || (now.size > 0 && now.size <= size));
    before = now;
  }
  const ProxyHeader header = read_proxy_header(input);
  if (header.state != State::kDone || !header.source.valid()) return;
  char written[kProxyV1Bytes];
  const size_t size = write_proxy_header(header.source, header.source, written);
  const ProxyHeader again = read_proxy_header({written, size});
  CHECK(again.state == State::kDone && again.size == size);
  // As text: a mapped address is written as the IPv4 address that it is.
  CHECK(again.source.text() == header.source.text());
}

}  // namespace sluice::fuzz
