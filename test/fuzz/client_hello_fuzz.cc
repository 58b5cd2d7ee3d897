// ClientHellos: the cut into segments changes nothing, and a name is what the bytes hold.
#include "proxy/client_hello.h"

#include <algorithm>

#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

using namespace proxy;

void run(std::string_view text) {
  const std::string bytes = unhex(text);
  const std::string_view input = bytes;
  using State = ClientHelloReader::State;
  static ClientHelloReader::Scratch scratch;
  ClientHelloReader whole;
  const State state = whole.read(input, scratch);
  const std::string name(whole.server_name());
  CHECK(state == State::kDone || name.empty());
  for (const size_t piece : {size_t{1}, size_t{7}}) {
    ClientHelloReader reader;
    State cut = State::kMore;
    for (size_t size = 0; size < input.size() && cut == State::kMore;) {
      size = std::min(size + piece, input.size());
      cut = reader.read(input.substr(0, size), scratch);
    }
    CHECK(cut == state);
    CHECK(reader.server_name() == name);
  }
}

}  // namespace sluice::fuzz
