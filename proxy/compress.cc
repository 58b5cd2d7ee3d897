#include "proxy/compress.h"

#include "core/http1_text.h"

namespace sluice::proxy {

namespace {

// `;q=0`, `; q=0.000`: not acceptable at all.
bool has_zero_weight(std::string_view parameters) {
  while (!parameters.empty()) {
    const size_t end = std::min(parameters.find(';', 1), parameters.size());
    const std::string_view one = http1::trim(parameters.substr(1, end - 1));
    parameters.remove_prefix(end);
    if (one.size() > 2 && http1::lower(one[0]) == 'q' && one[1] == '=') {
      return one.substr(2).find_first_not_of("0.") == std::string_view::npos;
    }
  }
  return false;
}

}  // namespace

bool accepts_gzip(const http1::Head& request) {
  bool accepts = false;
  for (uint16_t i = 0; i < request.header_count; ++i) {
    if (request.headers[i].id != http1::Name::kAcceptEncoding) continue;
    http1::for_each_element(request.headers[i].value, [&](std::string_view element) {
      const size_t end = std::min(element.find(';'), element.size());
      if (!http1::iequals(http1::trim(element.substr(0, end)), "gzip")) return;
      accepts = !has_zero_weight(element.substr(end));
    });
  }
  return accepts;
}

bool is_compressible(const http1::Head& response, const Regex& types) {
  if (response.status < 200 || response.status == 204 || response.status == 206 ||
      response.status == 304) {
    return false;
  }
  const http1::Header* type = response.find(http1::Name::kContentType);
  if (type == nullptr || response.find(http1::Name::kContentEncoding) != nullptr) return false;
  for (uint16_t i = 0; i < response.header_count; ++i) {
    const http1::Header& header = response.headers[i];
    if (http1::iequals(header.name, "content-range")) return false;
    if (http1::iequals(header.name, "cache-control") &&
        http1::list_has_token(header.value, "no-transform")) {
      return false;
    }
  }
  return types.found_in(type->value);
}

}  // namespace sluice::proxy
