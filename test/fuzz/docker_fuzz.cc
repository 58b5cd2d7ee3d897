// What Docker sends: log frames and image names.
#include "drivers/docker/frames.h"
#include "drivers/docker/image_ref.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

void run(std::string_view input) {
  (void)drivers::parse_image_ref(input);
  (void)drivers::parse_log_line(input);
  for (size_t at = 0; at < input.size();) {
    Result<std::optional<drivers::LogFrame>> frame = drivers::parse_log_frame(input.substr(at));
    if (!frame || !*frame) return;
    CHECK((*frame)->size > 0 && (*frame)->size <= input.size() - at);
    (void)drivers::parse_timed_message((*frame)->payload);
    at += (*frame)->size;
  }
}

}  // namespace sluice::fuzz
