// The gRPC health check's bytes, and its verdicts.
#include "drivers/embedded/grpc_check.h"

#include "test/test.h"

namespace sluice::drivers {

namespace {

std::string frame(int type, int flags, int stream, std::string_view payload) {
  std::string out;
  for (const int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return out.append(payload);
}

std::string message(std::string_view bytes) {
  return std::string("\0\0\0\0", 4) + static_cast<char>(bytes.size()) + std::string(bytes);
}

GrpcAnswer judge(const std::string& bytes) {
  bool acknowledge = false;
  // Whatever is cut off it is not the answer yet, or is it the same one.
  const GrpcAnswer whole = grpc_serving(bytes, acknowledge);
  for (size_t length = 0; length < bytes.size(); ++length) {
    const GrpcAnswer part = grpc_serving(std::string_view(bytes).substr(0, length), acknowledge);
    if (part != GrpcAnswer::kIncomplete) EXPECT(part == whole);
  }
  return whole;
}

const std::string kSettings = frame(4, 0, 0, std::string("\0\3\0\0\0\x64", 6));
const std::string kHead = frame(1, 4, 1, "\x88");

}  // namespace

TEST_CASE("grpc check: the request, byte by byte") {
  const std::string bytes = grpc_request("h:1", "svc");
  REQUIRE(bytes.starts_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  std::string_view rest = std::string_view(bytes).substr(24);
  EXPECT_EQ(rest.substr(0, 9), std::string("\0\0\0\4\0\0\0\0\0", 9));
  rest.remove_prefix(9);
  const size_t head = static_cast<unsigned char>(rest[2]);
  EXPECT_EQ(rest.substr(3, 6), std::string("\1\4\0\0\0\1", 6));
  EXPECT(rest.substr(9, head).find(std::string("\0\5:path\x1c/grpc.health.v1.Health/Check", 36)) !=
         std::string_view::npos);
  rest.remove_prefix(9 + head);
  EXPECT_EQ(rest, frame(0, 1, 1, message("\x0a\3svc")));
  EXPECT(grpc_request("h:1", "").ends_with(frame(0, 1, 1, message(""))));
}

TEST_CASE("grpc check: verdicts") {
  const std::string begin = kSettings + kHead;
  EXPECT(judge(begin + frame(0, 0, 1, message("\x08\1"))) == GrpcAnswer::kServing);
  EXPECT(judge(begin + frame(0, 0, 1, message("\x08\2"))) == GrpcAnswer::kNotServing);
  EXPECT(judge(begin + frame(0, 0, 1, message(""))) == GrpcAnswer::kNotServing);
  EXPECT(judge(begin + frame(0, 8, 1, std::string("\2", 1) + message("\x08\1") + "xx")) ==
         GrpcAnswer::kServing);
  EXPECT(judge(kSettings + frame(1, 5, 1, "\x88")) == GrpcAnswer::kRefused);
  EXPECT(judge(begin + frame(3, 0, 1, std::string(4, '\0'))) == GrpcAnswer::kRefused);
  EXPECT(judge(begin + frame(7, 0, 0, std::string(8, '\0'))) == GrpcAnswer::kRefused);
  EXPECT(judge(begin + frame(0, 0, 1, std::string("\1\0\0\0\2\x08\1", 7))) == GrpcAnswer::kRefused);
  EXPECT(judge(begin + frame(0, 0, 3, message("\x08\1"))) == GrpcAnswer::kIncomplete);
  EXPECT(judge("") == GrpcAnswer::kIncomplete);
  bool acknowledge = false;
  (void)grpc_serving(frame(4, 1, 0, ""), acknowledge);
  EXPECT(!acknowledge);
  (void)grpc_serving(kSettings, acknowledge);
  EXPECT(acknowledge);
}

TEST_CASE("check history: warning before critical, each after as many failures as asked") {
  using orchestrator::CheckStatus;
  orchestrator::ServiceCheck check;
  check.failures_before_warning = 2;
  check.failures_before_critical = 3;
  check.success_before_passing = 2;
  CheckHistory history(check, CheckStatus::kPassing);
  EXPECT(!history.add(CheckStatus::kCritical));
  EXPECT(history.add(CheckStatus::kCritical));
  EXPECT(history.status() == CheckStatus::kWarning);
  EXPECT(history.add(CheckStatus::kCritical));
  EXPECT(history.status() == CheckStatus::kCritical);
  EXPECT(!history.add(CheckStatus::kPassing));
  EXPECT(history.add(CheckStatus::kPassing));
}

}  // namespace sluice::drivers
