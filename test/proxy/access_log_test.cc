#include "proxy/access_log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "core/http1.h"
#include "proxy/headers.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

constexpr int64_t kWallNs = int64_t{1553933595} * 1'000'000'000 + 7'008'009;

/// A descriptor that keeps what is written to it.
class Sink {
 public:
  Sink() : fd_(memfd_create("access", MFD_CLOEXEC)) { REQUIRE(fd_ >= 0); }
  ~Sink() { close(fd_); }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::string text() const {
    std::string out(static_cast<size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    REQUIRE(pread(fd_, out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
    return out;
  }

 private:
  int fd_;
};

std::string line_of(std::string_view format, const AccessEvent& event) {
  auto compiled = AccessFormat::compile(format);
  REQUIRE(compiled.has_value());
  Sink sink;
  {
    LineWriter writer(sink.fd());
    AccessBuffer buffer(*compiled, writer);
    EXPECT(buffer.add(event));
    buffer.flush();
    buffer.flush();
  }
  std::string text = sink.text();
  REQUIRE(text.ends_with('\n'));
  text.pop_back();
  return text;
}

AccessRequest get() {
  AccessRequest request;
  request.method = "GET";
  request.target = "/";
  request.host = "mysite.com:9999";
  return request;
}

TEST_CASE("the common line is fabio's, byte for byte") {
  const AccessRequest request = get();
  EXPECT_EQ(line_of("common", {.request = &request,
                               .remote_host = "127.0.0.1",
                               .remote_port = 40000,
                               .status = 200,
                               .body_bytes = 44,
                               .end_wall_ns = kWallNs}),
            "127.0.0.1 - - [30/Mar/2019:08:13:15 +0000] \"GET / HTTP/1.1\" 200 44");
}

TEST_CASE("combined adds two headers; quotes and controls cannot break out") {
  AccessRequest request = get();
  request.minor_version = 0;
  request.headers[0] = "http://a/?q=\"x\"";
  request.headers[1] = "curl\\8\x1b[0m\n";
  EXPECT_EQ(
      line_of("combined",
              {.request = &request, .remote_host = "::1", .status = 404, .end_wall_ns = kWallNs}),
      "::1 - - [30/Mar/2019:08:13:15 +0000] \"GET / HTTP/1.0\" 404 0 "
      "\"http://a/?q=\\x22x\\x22\" \"curl\\x5C8\\x1B[0m\\x0A\"");
}

TEST_CASE("every field") {
  EndpointRegistry registry([] {});
  const EndpointRef upstream =
      registry.find_or_add({.destination = {Scheme::kHttps, "10.0.0.1", 5000}});
  AccessRequest request = get();
  request.target = "/a?b=c&d";
  request.https = true;
  request.headers[0] = "v";
  const AccessEvent event = {.request = &request,
                             .remote_host = "fe80::1",
                             .remote_port = 40000,
                             .status = 502,
                             .body_bytes = 12,
                             .duration_ns = 1'002'003'004,
                             .end_wall_ns = kWallNs,
                             .upstream = upstream.get(),
                             .service = "web",
                             .upstream_target = "/x?b=c&d"};
  const std::pair<const char*, const char*> table[] = {
      {"$header.X-Y", "v"},
      {"$remote_addr", "[fe80::1]:40000"},
      {"$remote_host", "fe80::1"},
      {"$remote_port", "40000"},
      {"$request", "GET /a?b=c&d HTTP/1.1"},
      {"$request_args", "b=c&d"},
      {"$request_host", "mysite.com:9999"},
      {"$request_method", "GET"},
      {"$request_scheme", "https"},
      {"$request_uri", "/a?b=c&d"},
      {"$request_url", "https://mysite.com:9999/a?b=c&d"},
      {"$request_proto", "HTTP/1.1"},
      {"$response_body_size", "12"},
      {"$response_status", "502"},
      {"$response_time_ms", "1.002"},
      {"$response_time_us", "1.002003"},
      {"$response_time_ns", "1.002003004"},
      {"$time_rfc3339", "2019-03-30T08:13:15Z"},
      {"$time_rfc3339_ms", "2019-03-30T08:13:15.007Z"},
      {"$time_rfc3339_us", "2019-03-30T08:13:15.007008Z"},
      {"$time_rfc3339_ns", "2019-03-30T08:13:15.007008009Z"},
      {"$time_unix_ms", "1553933595007"},
      {"$time_unix_us", "1553933595007008"},
      {"$time_unix_ns", "1553933595007008009"},
      {"$time_common", "30/Mar/2019:08:13:15 +0000"},
      {"$upstream_addr", "10.0.0.1:5000"},
      {"$upstream_host", "10.0.0.1"},
      {"$upstream_port", "5000"},
      {"$upstream_service", "web"},
      {"$upstream_request_scheme", "https"},
      {"$upstream_request_uri", "/x?b=c&d"},
      {"$upstream_request_url", "https://10.0.0.1:5000/x?b=c&d"},
      {"a $ $$ b", "a $ $$ b"},
      {"$request_method.$request_host/x", "GET.mysite.com:9999/x"},
      {"$header.X-Y$header.X-Y.z", "vv.z"},
      {"100$", "100$"},
  };
  for (const auto& [format, expected] : table) {
    CAPTURE(format);
    EXPECT_EQ(line_of(format, event), expected);
  }
}

TEST_CASE("a tunnel has no request and maybe no upstream") {
  EXPECT_EQ(
      line_of("$remote_addr \"$request\" $request_url $header.A $upstream_addr $response_status "
              "$response_body_size",
              {.remote_host = "1.2.3.4", .remote_port = 5, .body_bytes = 7}),
      "1.2.3.4:5 \"\"    0 7");
}

TEST_CASE("formats that are wrong") {
  for (const char* bad : {"", "$nope", "$header", "$header.", "$requests", "$time"}) {
    CAPTURE(bad);
    EXPECT(!AccessFormat::compile(bad).has_value());
  }
  EXPECT_EQ(AccessFormat::compile("$nope").error().message,
            "the access log's format has an invalid field \"$nope\"");
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += "$header.H" + std::to_string(i);
  EXPECT(AccessFormat::compile(nine).error().code == Code::kLimit);
}

TEST_CASE("long lines are cut, the buffer flushes by itself, and nothing is lost on the way") {
  auto format = AccessFormat::compile("$request_uri $response_status");
  Sink sink;
  AccessRequest request = get();
  const std::string target(40'000, 'a');
  {
    LineWriter writer(sink.fd());
    AccessBuffer buffer(*format, writer);
    request.target = target;
    EXPECT(buffer.add({.request = &request}));
    request.target = "/";
    for (uint16_t i = 0; i < 20000; ++i) buffer.add({.request = &request, .status = i});
    buffer.flush();
    EXPECT_EQ(writer.dropped_lines(), 0u);
  }
  const std::string text = sink.text();
  EXPECT_EQ(text.find('\n'), AccessBuffer::kLineBytes - 1);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 20001);
  EXPECT(text.ends_with("\n/ 19999\n"));
}

TEST_CASE("the scheme of a request: what a believed peer says of it, where a line shows it") {
  const std::string text = "GET / HTTP/1.1\r\nHost: h.com\r\nX-Forwarded-Proto: https\r\n\r\n";
  http1::Head head;
  http1::HeadReader reader;
  REQUIRE(reader.read_request(text, {}, head).state == http1::ReadState::kDone);
  for (const char* shows : {"$request_scheme", "$request_url"}) {
    auto format = AccessFormat::compile(shows);
    EXPECT(format->read(head, {.trusted = true}).https);
    EXPECT(!format->read(head, {.trusted = false}).https);
    EXPECT(format->read(head, {.tls = true, .trusted = false}).https);
  }
}

TEST_CASE("what is kept of a request survives its head") {
  auto format = AccessFormat::compile("$request $request_host $header.A $header.B");
  std::string head_text = "POST " + std::string("/") + std::string(3000, 'p') +
                          " HTTP/1.1\r\nHost: h.com\r\nA: " + std::string(3000, 'a') +
                          "\r\nB: b\r\n\r\n";
  http1::Head head;
  http1::HeadReader reader;
  REQUIRE(reader.read_request(head_text, {}, head).state == http1::ReadState::kDone);
  AccessRequest request = format->read(head, {});
  EXPECT_EQ(request.headers[1], "b");
  std::vector<char> room(AccessFormat::kRoomBytes);
  format->keep(request, room.data());
  std::fill(head_text.begin(), head_text.end(), '!');
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.host, "h.com");
  EXPECT_EQ(request.headers[1], "b");
  EXPECT_EQ(request.target.size(), AccessFormat::kRoomBytes / 2);
  EXPECT(request.headers[0].size() > 100);
  EXPECT_EQ(request.headers[0].find_first_not_of('a'), std::string_view::npos);
}

}  // namespace
}  // namespace sluice::proxy
