// `job init`: a job file to begin with.
#include <fmt/format.h>

#include <string_view>

#include "orchestrator/cli/command.h"

namespace sluice::orchestrator::cli {
namespace {

constexpr uint32_t kFileMode = 0644;

constexpr FlagSpec kFlags[] = {{"short", FlagSpec::Kind::kBool, "without comments"}};

// Lines that are a comment alone are what -short leaves out.
constexpr std::string_view kExample = R"(job "example" {
  # A service runs until it is stopped. Others: "batch" runs to its end; "system" and "sysbatch"
  # run on every node.
  type = "service"

  # How a change of the job goes on: one instance after the other, each healthy for ten seconds
  # before the next; back to the last version that was healthy if one is not.
  update {
    max_parallel     = 1
    min_healthy_time = "10s"
    healthy_deadline = "3m"
    auto_revert      = true
  }

  group "web" {
    # Instances. `sluice job scale example web 3` changes it, too.
    count = 2

    network {
      # A free port, which the task knows as NOMAD_PORT_http.
      port "http" {}
    }

    service {
      name = "example"
      port = "http"

      # The balancer's route: http://example.localhost:9999/ goes to the instances that are healthy.
      # The port is part of it, unless it is 80 or 443.
      tags = ["urlprefix-example.localhost:9999/"]

      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "server" {
      # A program of the machine. With driver = "docker" the config has an image in its place:
      #   image = "nginx:1.22"
      #   ports = ["http"]
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["-m", "http.server", "-d", "local", "-b", "127.0.0.1", "${NOMAD_PORT_http}"]
      }

      # A file below the task's folder, written before the task starts.
      template {
        destination = "local/index.html"
        data        = "instance {{ env \"NOMAD_ALLOC_INDEX\" }} on port {{ env \"NOMAD_PORT_http\" }}\n"
      }

      # What it may use: MHz and MiB. The scheduler places it where that is free.
      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
)";

std::string without_comments(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t end = text.find('\n') + 1;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end);
    const size_t first = line.find_first_not_of(' ');
    if (line[first] != '#') out += line;
  }
  return out;
}

Task<int> init(Session& session) {
  const auto& words = session.flags().words();
  const std::string path = words.empty() ? "example.nomad.hcl" : words[0];
  Disk& disk = session.env().disk;
  if (disk.exists(path)) co_return session.error(fmt::format("Job '{}' already exists", path));
  const Result<void> written = disk.write_file(
      path, session.flags().is_on("short") ? without_comments(kExample) : std::string(kExample),
      kFileMode);
  if (!written) co_return session.error("writing the job file", written.error());
  session.print(fmt::format("Example job file written to {}", path));
  co_return 0;
}

constexpr Command kCommands[] = {
    {.name = "job init",
     .usage = "[options] [<file>]",
     .summary = "Write a job file to begin with",
     .help = "The file is example.nomad.hcl where none is named; one that is there is kept.",
     .flags = kFlags,
     .run = init,
     .max_words = 1},
};

}  // namespace

std::span<const Command> init_commands() {
  return kCommands;
}

}  // namespace sluice::orchestrator::cli
