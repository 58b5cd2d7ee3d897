// core/http1 bodies: a chunked body, whole and in pieces, has the same payload and the same end.
#include "core/http1_body.h"

#include <string>

#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

namespace {

using http1::BodyReader;

struct Outcome {
  BodyReader::State state = BodyReader::State::kMore;
  size_t consumed = 0;
  std::string payload;
};

// Shows the input in growing pieces of `step` bytes, as a socket would.
Outcome feed(std::string_view input, size_t step) {
  Outcome out;
  BodyReader reader;
  reader.start(http1::Framing::kChunked, 0);
  size_t shown = 0;
  while (shown < input.size()) {
    shown = std::min(input.size(), shown + step);
    for (;;) {
      const BodyReader::Step s = reader.read(input.substr(out.consumed, shown - out.consumed));
      CHECK(s.consumed <= shown - out.consumed);
      out.consumed += s.consumed;
      out.payload.append(s.data);
      out.state = s.state;
      if (s.state != BodyReader::State::kMore) return out;
      if (s.consumed == 0) break;
    }
  }
  return out;
}

}  // namespace

void run(std::string_view input) {
  const Outcome whole = feed(input, input.size());
  for (const size_t step : {size_t{1}, size_t{3}}) {
    const Outcome pieces = feed(input, step);
    CHECK(pieces.state == whole.state);
    if (whole.state == BodyReader::State::kBad) continue;
    CHECK(pieces.consumed == whole.consumed && pieces.payload == whole.payload);
  }
}

}  // namespace sluice::fuzz
