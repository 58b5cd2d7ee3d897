#include "test/sim/cluster.h"

#include <fcntl.h>
#include <fmt/format.h>

namespace sluice::sim {

using namespace orchestrator;

Node make_node(int number) {
  Node node;
  node.id = fmt::format("{:08x}-0000-4000-8000-{:012x}", number * 2654435761u, number);
  node.name = fmt::format("node-{}", number);
  node.ip = fmt::format("10.0.{}.{}", number / 250, number % 250 + 1);
  node.cpu_mhz = 4000;
  node.cpu_cores = 4;
  node.cores = {0, 1, 2, 3};
  node.memory_mb = 8192;
  node.disk_mb = 100'000;
  node.attributes = {{"kernel.name", "linux"}, {"unique.hostname", node.name}};
  node.drivers["raw_exec"] = {.detected = true, .healthy = true};
  return node;
}

Job make_job(const std::string& id, int64_t count) {
  Job job;
  job.id = id;
  TaskGroup& group = job.groups.emplace_back();
  group.name = "web";
  group.count = count;
  TaskConfig& task = group.tasks.emplace_back();
  task.name = "srv";
  task.driver = "raw_exec";
  task.config = Json::object({{"command", "/bin/true"}});
  task.resources.emplace();
  Port port;
  port.label = "http";
  orchestrator::Network network;
  network.dynamic_ports.push_back(port);
  task.resources->networks.push_back(network);
  canonicalize(job);
  return job;
}

Cluster::Cluster(uint64_t seed, Store* use)
    : random(seed),
      executor(random),
      log(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
      store(use ? *use : memory) {
  log.set_level(LogLevel::kError);
}

Cluster::~Cluster() {
  for (auto& node : nodes) node->connect(nullptr);
  server_scope_.reset();
}

void Cluster::start() {
  server = std::make_unique<Server>(Env{executor, network, disk, random}, log, store, options);
  auto started = await(server->start());
  CHECK(started);
  server_scope_ = std::make_unique<Scope>(executor);
  server_scope_->spawn(server->run());
  for (auto& node : nodes) node->connect(&server->node_link());
}

void Cluster::crash() {
  for (auto& node : nodes) node->connect(nullptr);
  server_scope_.reset();
  server.reset();
}

SimNode& Cluster::add_node(SimNodeOptions node_options) {
  nodes.push_back(std::make_unique<SimNode>(executor, make_node(static_cast<int>(nodes.size()) + 1),
                                            node_options));
  if (server) nodes.back()->connect(&server->node_link());
  return *nodes.back();
}

RegisterReply Cluster::run_job(Job job) {
  RegisterRequest request;
  request.job = std::move(job);
  auto reply = await(server->register_job(std::move(request)));
  if (!reply) fmt::print(stderr, "register: {}\n", reply.error().message);
  CHECK(reply);
  return *reply;
}

bool Cluster::settle(int64_t limit_ms) {
  return executor.run_until(
      [&] {
        const Snapshot now = server->snapshot();
        bool busy = false;
        now.tables().evals.each([&](const EvalPtr& eval) {
          busy |= eval->status == EvalStatus::kPending && eval->wait_until.ns <= executor.wall_ns();
        });
        now.tables().allocs.each([&](const AllocPtr& alloc) {
          busy |= !alloc->terminal() && alloc->client_status == ClientStatus::kPending;
          busy |= alloc->server_terminal() && !alloc->client_terminal();
        });
        return !busy;
      },
      limit_ms);
}

std::vector<AllocPtr> Cluster::live(const std::string& job_id) {
  std::vector<AllocPtr> out;
  if (const auto index = server->snapshot().of_job("default", job_id)) {
    index->allocs.each([&](const AllocPtr& alloc) {
      if (!alloc->terminal()) out.push_back(alloc);
    });
  }
  return out;
}

}  // namespace sluice::sim
