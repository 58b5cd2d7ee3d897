// What a gzip member holds: the tests' own decoder, so that the encoder is not judged by itself.
#pragma once

#include <zlib.h>

#include <string>

namespace sluice {

/// Of a whole member; "(bad)" if it is none. `part`: as far as it goes.
inline std::string gunzip(const std::string& bytes, bool part = false) {
  z_stream z{};
  if (inflateInit2(&z, 15 + 16) != Z_OK) return "(bad)";
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int result = Z_OK;
  while (result == Z_OK) {
    char room[16384];
    z.next_out = reinterpret_cast<Bytef*>(room);
    z.avail_out = sizeof room;
    result = inflate(&z, Z_NO_FLUSH);
    out.append(room, sizeof room - z.avail_out);
  }
  const bool whole = result == Z_STREAM_END && z.avail_in == 0;
  inflateEnd(&z);
  return whole || (part && result == Z_BUF_ERROR) ? out : "(bad)";
}

}  // namespace sluice
