#include "proxy/trace.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "proxy/publish.h"
#include "test/test.h"

namespace sluice::proxy {
namespace {

RouteSpec spec(std::string service, std::string host, std::string path) {
  RouteSpec out;
  out.service = std::move(service);
  out.host = std::move(host);
  out.path = std::move(path);
  out.destination = {Scheme::kHttp, "172.16.66.102", 23578};
  return out;
}

std::vector<std::string> trace(const std::vector<RouteSpec>& specs, std::string_view host_text,
                               std::string_view path, std::string_view id = "abc") {
  Publisher publisher({}, [](Publisher::Closure) {}, nullptr);
  std::vector<RouteEdit> edits;
  edits.push_back({"all", specs, {}});
  publisher.apply(std::move(edits));
  const int fd = memfd_create("log", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  std::vector<std::string> lines;
  {
    Log log(fd);
    log.subscribe(LogLevel::kTrace, [&lines](LogLevel, std::string_view line) {
      lines.emplace_back(line.substr(20));  // behind the time
    });
    HostName host;
    REQUIRE(parse_host(host_text, false, host));
    RouteCursor cursor(publisher.table(), host, path);
    const Route* route = cursor.next();
    const Target* target =
        route == nullptr || route->targets().empty() ? nullptr : route->targets()[0];
    trace_lookup(log, publisher.table(), host, {id, host_text, path}, route, target);
    if (route == nullptr) log_no_route(log, host_text, path);
  }
  close(fd);
  return lines;
}

using Lines = std::vector<std::string>;

TEST_CASE("a traced request prints fabio's four lines") {
  EXPECT_EQ(
      trace({spec("httpbackend", "mysite.com:9999", "/")}, "mysite.com:9999", "/"),
      Lines{"[TRACE] abc Tracing mysite.com:9999/", "[TRACE] abc Matching hosts: [mysite.com:9999]",
            "[TRACE] abc Match mysite.com:9999/",
            "[TRACE] abc Routing to service httpbackend on http://172.16.66.102:23578/"});
}

TEST_CASE("routes that do not match are named, the longest first, until one does") {
  const std::vector<RouteSpec> specs = {spec("a", "x.com", "/foo"), spec("a", "x.com", "/z"),
                                        spec("b", "*.com", "/bar"), spec("c", "", "/"),
                                        spec("c", "", "/nothing")};
  EXPECT_EQ(trace(specs, "x.com", "/y", "a-very-long-trace-id"),
            Lines{"[TRACE] a-very-long-tra Tracing x.com/y",
                  "[TRACE] a-very-long-tra Matching hosts: [x.com *.com]",
                  "[TRACE] a-very-long-tra No match x.com/z",
                  "[TRACE] a-very-long-tra No match x.com/foo",
                  "[TRACE] a-very-long-tra No match *.com/bar",
                  "[TRACE] a-very-long-tra No match /nothing", "[TRACE] a-very-long-tra Match /",
                  "[TRACE] a-very-long-tra Routing to service c on http://172.16.66.102:23578/"});
}

TEST_CASE("no host, no match") {
  EXPECT_EQ(trace({spec("a", "x.com", "/")}, "y.com:1234", "/p"),
            Lines{"[TRACE] abc Tracing y.com:1234/p", "[TRACE] abc Matching hosts: []",
                  "[TRACE] abc No match y.com:1234/p", "[WARN] No route for y.com:1234/p"});
}

TEST_CASE("a host of thousands of routes does not flood the log") {
  std::vector<RouteSpec> specs;
  for (int i = 0; i < 2000; ++i) specs.push_back(spec("a", "x.com", "/z" + std::to_string(i)));
  specs.push_back(spec("a", "x.com", "/"));
  const Lines lines = trace(specs, "x.com", "/y");
  EXPECT_EQ(lines.size(), 2 + kTraceNoMatchLines + 2);
  EXPECT_EQ(lines[lines.size() - 2], "[TRACE] abc Match x.com/");
}

}  // namespace
}  // namespace sluice::proxy
