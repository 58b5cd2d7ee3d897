// DockerApi: the Engine API as calls. Negotiates the version, and tells "Docker does not answer"
// (kUnavailable, whatever went wrong on the way) from "Docker said no" (its own words and a code).
//
// Owner: the driver. Thread: the executor's. A connection is made for each call: the socket is
// local, and one that was kept over a restart of dockerd would fail the next call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/executor.h"
#include "core/http_client.h"
#include "core/json.h"
#include "core/network.h"
#include "core/result.h"
#include "core/task.h"

namespace sluice::drivers {

struct DockerVersion {
  std::string engine;  // "20.10.24"
  std::string api;     // what we speak: "1.41"
};

struct DockerCall {
  std::string method = "GET";
  std::string target;  // without the version: "/containers/ID/json"
  Json body;           // null: none
  HttpHeaders headers;
  std::string doing;  // for the operator: "start container web-1"
};

class DockerApi {
 public:
  DockerApi(Executor& executor, Network& network, Address socket);

  /// Asks Docker for its versions and picks the one to speak. kUnsupported: too old.
  Task<Result<DockerVersion>> negotiate();
  /// A whole answer, parsed; null where its body is empty. 304, "it is so already", is success.
  Task<Result<Json>> call(DockerCall call);
  /// Up to the head of a successful answer, whose body is a stream.
  Task<Result<std::unique_ptr<HttpExchange>>> stream(DockerCall call);
  /// The connection itself, behind the head of the answer; `early_bytes` came with that.
  Task<Result<std::unique_ptr<Stream>>> hijack(DockerCall call, std::string& early_bytes);

  const Address& socket() const { return quick_.address(); }

 private:
  Task<Result<std::unique_ptr<HttpExchange>>> open(HttpClient& client, DockerCall& call);
  Error unavailable(const Error& error) const;

  std::string version_;  // empty until negotiated
  HttpClient quick_;
  HttpClient slow_;  // pulls: the head comes with the first progress
};

/// The value of a query parameter of a JSON or other text.
std::string query_value(std::string_view text);

}  // namespace sluice::drivers
