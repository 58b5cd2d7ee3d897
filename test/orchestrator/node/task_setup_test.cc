// What is made ready for a task: its files, payload and artifacts.
#include "orchestrator/node/task_setup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "core/base64.h"
#include "core/http_server.h"
#include "core/uv_process.h"
#include "orchestrator/node/artifacts.h"
#include "orchestrator/node/task_files.h"
#include "test/orchestrator/node/setup_world.h"

namespace sluice::orchestrator {

using test::content;
using test::last_event;
using test::make_setup;
using test::World;

TEST_CASE("task files: paths that stay inside, and those that do not") {
  const auto whole = [](std::string_view path) {
    auto made = task_path("/d/alloc/a/srv", "/d/alloc/a/alloc", path);
    return made ? made->whole() : "error: " + made.error().message;
  };
  EXPECT_EQ(whole("local/x"), "/d/alloc/a/srv/local/x");
  EXPECT_EQ(whole("./local//x/"), "/d/alloc/a/srv/local/x");
  EXPECT_EQ(whole("/d/alloc/a/srv/secrets/x"), "/d/alloc/a/srv/secrets/x");
  EXPECT_EQ(whole("/d/alloc/a/alloc/data/x"), "/d/alloc/a/alloc/data/x");
  EXPECT_EQ(whole("/etc/passwd"), "/d/alloc/a/srv/etc/passwd");
  EXPECT_EQ(whole("local/../../x"), "error: local/../../x: leaves the task's folder");
  EXPECT_EQ(whole("local/../x"), "error: local/../x: leaves the task's folder");
}

TEST_CASE("task files: no symbolic link is followed, neither as a folder nor as the file") {
  char root[] = "/tmp/sluice-files-XXXXXX";
  REQUIRE(::mkdtemp(root) != nullptr);
  const std::string base = root;
  REQUIRE(::mkdir((base + "/task").c_str(), 0755) == 0);
  REQUIRE(::mkdir((base + "/outside").c_str(), 0755) == 0);
  REQUIRE(::symlink("../outside", (base + "/task/link").c_str()) == 0);
  REQUIRE(::symlink("../outside/file", (base + "/task/file").c_str()) == 0);
  const std::string task = base + "/task";
  const auto through = write_inside({task, "link/x"}, "no", 0644);
  REQUIRE(!through);
  EXPECT_EQ(through.error().code, Code::kDenied);
  EXPECT(!make_folder_inside({task, "link/sub"}, 0755));
  REQUIRE(write_inside({task, "file"}, "yes", 0640));  // takes the link's place
  EXPECT_EQ(content(task + "/file"), "yes");
  EXPECT_EQ(content(base + "/outside/file"), "(none)");
  struct stat status{};
  REQUIRE(::lstat((task + "/file").c_str(), &status) == 0);
  EXPECT(S_ISREG(status.st_mode));
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  REQUIRE(::symlink("../outside", (task + "/read").c_str()) == 0);
  EXPECT(!read_inside({task, "read"}, 100));
  EXPECT(!read_inside({task, "file"}, 2));
  std::filesystem::remove_all(base);
}

TEST_CASE("a dispatched payload is a file in local/") {
  World world;
  world.start_agent();
  auto alloc = make_setup("a", {});
  auto job = std::make_shared<Job>(*alloc->job);
  job->payload = base64_encode(std::string("\0binary\xff", 8));
  job->groups[0].tasks[0].dispatch_payload = DispatchPayload{.file = "in/payload"};
  alloc->job = job;
  world.link.say({alloc});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT_EQ(content(world.folder + "/alloc/a/srv/local/in/payload"),
            std::string("\0binary\xff", 8));
}

// ---- artifacts ----

TEST_CASE("artifacts: sources and options, and what is refused by name") {
  const auto parsed = [](std::string_view source, StringMap options = {}) {
    auto made = parse_artifact(source, options);
    if (!made) return "error: " + made.error().message;
    return fmt::format("{} {}:{} {} {} {}:{} {} {}", made->url, made->host, made->port,
                       made->target, made->name, made->checksum_kind, made->checksum, made->unpack,
                       made->ref);
  };
  EXPECT_EQ(parsed("http://h.test:81/a/b.tgz?x=1&checksum=md5:AB"),
            "http://h.test:81/a/b.tgz?x=1 h.test:81 /a/b.tgz?x=1 b.tgz md5:ab true ");
  EXPECT_EQ(parsed("http://[::1]/", {{"archive", "false"}, {"filename", "f"}}),
            "http://[::1]/ ::1:80 / f : false ");
  EXPECT_EQ(parsed("https://h/x"), "https://h/x h:443 /x x : true ");
  EXPECT_EQ(parsed("git::https://h/r.git?ref=v1"), "https://h/r.git :80   : true v1");
  const std::pair<const char*, const char*> wrong[] = {
      {"s3::https://x",
       "artifact: source \"s3::https://x\" is not supported; http://, https:// and "
       "git:: are"},
      {"ftp://h/x",
       "artifact: source \"ftp://h/x\" is not supported; http://, https:// and git:: are"},
      {"/etc/passwd",
       "artifact: source \"/etc/passwd\" is not supported; http://, https:// and git:: are"},
      {"git::ext::sh -c id",
       "artifact: source \"git::ext::sh -c id\" is not supported by git here"},
      {"git::--upload-pack=id",
       "artifact: source \"git::--upload-pack=id\" is not supported by git here"},
      {"http://u:p@h/x", "artifact: a user in the URL is not supported; use headers"},
      {"http:///x", "artifact: no host in http:///x"},
      {"http://h/x?checksum=crc:1",
       "artifact: checksum \"crc:1\": expected md5:, sha1:, sha256: or sha512: and hex digits"},
      {"http://h/x?filename=a/b", "artifact: filename \"a/b\" is no file's name"},
      {"http://h:0/x", "artifact: the port in http://h:0/x is none"},
  };
  for (const auto& [source, message] : wrong) {
    CAPTURE(source);
    EXPECT_EQ(parsed(source), std::string("error: ") + message);
  }
  EXPECT_EQ(parsed("http://h/x", {{"sshkey", "k"}}),
            "error: artifact: the option \"sshkey\" is not supported");
}

namespace {

/// Serves files by path; what is not there is 404.
struct Files {
  explicit Files(World& world)
      : server(world.loop, *world.network.listen(Address{.ip = "127.0.0.1"}),
               [this](const HttpServerRequest& request, HttpResponseWriter& writer) {
                 return answer(request, writer);
               }),
        scope(world.loop) {
    scope.spawn(server.run());
  }
  Task<void> answer(const HttpServerRequest& request, HttpResponseWriter& writer) {
    ++requests;
    if (const std::string* token = request.headers.find("X-Token")) last_token = *token;
    const auto found = files.find(request.path);
    if (found == files.end()) {
      (void)co_await writer.respond(404, "text/plain", "no");
    } else if (found->second.starts_with("-> ")) {
      writer.add_header("Location", found->second.substr(3));
      (void)co_await writer.respond(302, "text/plain", "");
    } else {
      (void)co_await writer.respond(200, "application/octet-stream", found->second);
    }
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(server.local().port) + path;
  }
  std::map<std::string, std::string> files;
  std::string last_token;
  int requests = 0;
  HttpServer server;
  Scope scope;
};

Artifact make_artifact(std::string source, std::string destination = "local/") {
  Artifact made;
  made.source = std::move(source);
  made.destination = std::move(destination);
  return made;
}

std::string run_shell(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string out;
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, got);
  REQUIRE(::pclose(pipe) == 0);
  return out;
}

}  // namespace

TEST_CASE(
    "artifacts: a file, one under another name, an archive, behind a redirect, with headers") {
  World world;
  UvProcesses processes(world.loop);
  world.processes = &processes;
  Files files(world);
  files.files["/plain.txt"] = "plain";
  files.files["/hop"] = "-> /plain.txt";
  files.files["/a.tar.gz"] =
      run_shell("cd $(mktemp -d) && mkdir d && echo inner > d/f && tar -czf - d; rm -r \"$PWD\"");
  world.start_agent();
  Artifact named = make_artifact(files.url("/hop"), "local/named.conf");
  named.mode = "file";
  named.headers = {{"X-Token", "${env[\"COLOUR\"]}"}};
  Artifact kept = make_artifact(files.url("/a.tar.gz"), "local/kept");
  kept.options = {{"archive", "false"}};
  Artifact checked = make_artifact("");
  const auto sum = run_shell("printf plain | sha256sum | cut -d' ' -f1");
  checked.source = files.url("/plain.txt") + "?checksum=sha256:" + sum.substr(0, 64);
  world.link.say(
      {make_setup("a", {}, {checked, named, make_artifact(files.url("/a.tar.gz")), kept})});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  const std::string local = world.folder + "/alloc/a/srv/local/";
  EXPECT_EQ(content(local + "plain.txt"), "plain");
  EXPECT_EQ(content(local + "named.conf"), "plain");
  EXPECT_EQ(content(local + "d/f"), "inner\n");
  EXPECT_EQ(content(local + "kept/a.tar.gz"), files.files["/a.tar.gz"]);
  EXPECT_EQ(files.last_token, "blue");
  EXPECT(!std::filesystem::exists(world.folder + "/alloc/a/srv/tmp/.artifact"));
  // What is there is not fetched again for a restart.
  const int before = files.requests;
  world.drainer.ready.set();
  world.agent->find("a")->restart({"srv"}, "again");
  world.until(
      [&] { return world.machine.runs.contains({.alloc_id = "a", .task = "srv", .run = 2}); });
  EXPECT_EQ(files.requests, before);
}

TEST_CASE("artifacts: a wrong checksum or a missing file leaves nothing and fails the task") {
  World world;
  Files files(world);
  files.files["/plain.txt"] = "other";
  world.start_agent();
  world.link.say({make_setup(
      "a", {},
      {make_artifact(files.url("/plain.txt") + "?checksum=md5:" + std::string(32, '0'))})});
  world.until([&] { return world.status("a") == ClientStatus::kFailed; });
  EXPECT(last_event(world, "Setup Failure").find("checksum md5:0000") != std::string::npos);
  EXPECT_EQ(content(world.folder + "/alloc/a/srv/local/plain.txt"), "(none)");
  EXPECT(world.machine.log.empty());
  world.link.reports.clear();
  world.link.say({make_setup("a2", {}, {make_artifact(files.url("/none"))})});
  world.until([&] { return world.status("a2") == ClientStatus::kFailed; });
}

TEST_CASE("artifacts: a git repository at a ref, where git is on the machine") {
  if (::access("/usr/bin/git", X_OK) != 0) return;
  World world;
  UvProcesses processes(world.loop);
  world.processes = &processes;
  const std::string repository = world.folder + "/repository";
  run_shell("git init -q " + repository + " && cd " + repository +
            " && git config user.email a@b && git config user.name n && echo one > f && git add f "
            "&& git commit -qm 1 && git tag v1 && echo two > f && git commit -qam 2");
  world.start_agent();
  world.link.say({make_setup("a", {},
                             {make_artifact("git::file://" + repository + "?ref=v1", "local/one"),
                              make_artifact("git::file://" + repository, "local/two")})});
  world.until([&] { return world.status("a") == ClientStatus::kRunning; });
  EXPECT_EQ(content(world.folder + "/alloc/a/srv/local/one/f"), "one\n");
  EXPECT_EQ(content(world.folder + "/alloc/a/srv/local/two/f"), "two\n");
}

}  // namespace sluice::orchestrator
