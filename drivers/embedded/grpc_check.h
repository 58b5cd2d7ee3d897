// The gRPC health check (grpc.health.v1.Health/Check), asked once over HTTP/2 without TLS
// (RFC 9113 with prior knowledge): one request, whose answer is judged by its message alone.
//
// Owner: the catalog's check loop. Thread: the control loop. Bounded by the check's timeout and
// kAnswerBytes. grpc_request and grpc_serving are pure.
#pragma once

#include <string>
#include <string_view>

#include "drivers/embedded/check.h"

namespace sluice::drivers {

/// All bytes of the client's side but the acknowledgement of the server's settings.
std::string grpc_request(std::string_view authority, std::string_view service);

enum class GrpcAnswer : uint8_t { kIncomplete, kServing, kNotServing, kRefused };

/// Judges what has come of the answer; `acknowledge` is set once the server's settings are in it.
GrpcAnswer grpc_serving(std::string_view bytes, bool& acknowledge);

/// An acknowledgement of settings.
std::string grpc_settings_ack();

Task<CheckResult> ask_grpc(Env& env, const orchestrator::ServiceCheck& check);

}  // namespace sluice::drivers
