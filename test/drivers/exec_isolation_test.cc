// The exec driver: limits and surroundings of a task, on the machine as it is.
#include <sys/stat.h>

#include "drivers/exec/cgroup.h"
#include "drivers/exec/isolate.h"
#include "drivers/exec/launch.h"
#include "test/drivers/exec_node.h"

using namespace sluice;
using namespace sluice::drivers::exec;
using namespace sluice::drivers::exec::test;

namespace {

TaskSpec isolated(Node& node, const std::string& script) {
  TaskSpec spec = node.spec(script);
  spec.cluster_id = "cluster";
  spec.node_id = "node";
  spec.alloc_folder = node.folder + "/alloc-1/alloc";
  spec.env["NOMAD_TASK_DIR"] = spec.task_folder + "/local";
  spec.env["NOMAD_ALLOC_DIR"] = spec.alloc_folder;
  for (const std::string& path :
       {spec.task_folder + "/local", spec.task_folder + "/secrets", spec.alloc_folder}) {
    REQUIRE(node.agent->disk.make_folders(path, 0755).has_value());
  }
  // So that others than root come through to it.
  chmod(node.folder.c_str(), 0755);
  return spec;
}

std::vector<std::string> cgroups_of(const std::string& run) {
  std::vector<std::string> there;
  for (const std::string& folder : cgroup_folders(find_cgroup_mounts(), "cluster-node", run)) {
    if (access(folder.c_str(), F_OK) == 0) there.push_back(folder);
  }
  return there;
}

}  // namespace

TEST_CASE("Mounts of control groups: both versions, by controller") {
  auto mounts = parse_cgroup_mounts(
      "30 23 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
      "31 30 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
      "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "33 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  REQUIRE(mounts.size() == 3);
  EXPECT((mounts[0] == CgroupMount{"/sys/fs/cgroup/memory", false, true, false}));
  EXPECT((mounts[1] == CgroupMount{"/sys/fs/cgroup/cpu,cpuacct", false, false, true}));
  EXPECT((mounts[2] == CgroupMount{"/sys/fs/cgroup/unified", true, false, false}));
}

TEST_CASE("Version 2: controllers are handed down, limits written, an OOM kill is seen") {
  // A folder of plain files in a hierarchy's place: what is written is what counts.
  char name[] = "/tmp/sluice-test-XXXXXX";
  std::string root = mkdtemp(name);
  PosixDisk disk;
  std::string run = root + "/sluice/o/r";
  REQUIRE(disk.make_folders(run, 0755).has_value());
  for (const std::string& file :
       {root + "/cgroup.subtree_control", root + "/sluice/cgroup.subtree_control",
        root + "/sluice/o/cgroup.subtree_control", run + "/memory.max", run + "/memory.low",
        run + "/cpu.weight", run + "/memory.swap.max"}) {
    REQUIRE(disk.write_file(file, "", 0644).has_value());
  }
  Cgroups made =
      make_cgroups({{root, true, true, true}}, "o", "r",
                   {.memory_bytes = 64 << 20, .memory_max_bytes = 128 << 20, .cpu_shares = 1024});
  EXPECT(made.missing.empty());
  EXPECT((made.folders == std::vector<std::string>{run}));
  EXPECT_EQ(disk.read_file(run + "/memory.max", 100).value_or(""), "134217728");
  EXPECT_EQ(disk.read_file(run + "/memory.low", 100).value_or(""), "67108864");
  EXPECT_EQ(disk.read_file(run + "/memory.swap.max", 100).value_or(""), "0");
  EXPECT_EQ(disk.read_file(run + "/cpu.weight", 100).value_or(""), "39");
  for (const char* folder : {"", "/sluice", "/sluice/o"}) {
    std::string control = root + folder + "/cgroup.subtree_control";
    EXPECT(disk.read_file(control, 100).value_or("").starts_with("+cpu"));
  }
  EXPECT(!cgroups_saw_oom(made.folders));
  REQUIRE(disk.write_file(run + "/memory.events", "low 0\noom 1\noom_kill 1\n", 0644).has_value());
  EXPECT(cgroups_saw_oom(made.folders));
  EXPECT(disk.remove_tree(root).has_value());
}

TEST_CASE("Where no limit can be set, that is said and the rest goes on") {
  Cgroups made = make_cgroups({{"/proc/nowhere", false, true, true}}, "o", "r",
                              {.memory_bytes = 1 << 20, .cpu_shares = 100});
  EXPECT(made.folders.empty());
  REQUIRE(made.missing.size() == 3);
  EXPECT_EQ(made.missing[0], "cpu share");
  EXPECT_EQ(made.missing[1], "memory limit");
  EXPECT(made.missing[2].starts_with("/proc/nowhere/sluice: "));
}

TEST_CASE("exec's configuration: unknown options, modes and capabilities are refused by name") {
  Node node;
  auto message = [&](Json config) {
    config.set("command", "x");
    Result<void> result = node.agent->exec.validate(config);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(message(Json::object({{"pid_mode", "host"}})), "");
  EXPECT_EQ(message(Json::object({{"cap_add", Json::array({"NET_RAW"})}})), "");
  EXPECT_EQ(message(Json::object({{"pid_mode", "x"}})),
            "exec: pid_mode is neither \"private\" nor \"host\"");
  EXPECT_EQ(message(Json::object({{"cap_add", Json::array({"fly"})}})),
            "exec: cap_add: no such capability: fly");
  EXPECT(message(Json::object({{"image", "x"}})).starts_with("exec: unknown option \"image\""));
}

TEST_CASE("A task of exec has a root, processes and a user of its own") {
  if (!may_isolate()) return;
  Node node;
  Agent& agent = *node.agent;
  TaskSpec spec = isolated(
      node,
      "pwd; id -un; echo $NOMAD_TASK_DIR $NOMAD_ALLOC_DIR; cat /proc/1/comm; echo hi > /local/f;"
      "echo hi > /alloc/f; (echo no > /usr/f) 2>/dev/null || echo read-only; ls /proc | grep -c "
      "'^[0-9]';"
      "echo ok > /dev/null; echo ok > /tmp/f; ls /root /home 2>/dev/null; exit 8");
  REQUIRE(chmod(spec.alloc_folder.c_str(), 0777) == 0);
  auto handle = agent.get(agent.exec.start(spec, [](std::string) {}));
  INFO((handle ? "" : handle.error().message));
  REQUIRE(handle);
  EXPECT_EQ(agent.wait(*handle).exit_code, 8);
  EXPECT_EQ(node.logs("stderr"), "");
  EXPECT_EQ(node.logs("stdout"),
            "/\nnobody\n/local /alloc\nsluice-keeper\nread-only\n4\n");  // keeper, sh, ls, grep
  EXPECT_EQ(agent.disk.read_file(spec.task_folder + "/local/f", 100).value_or(""), "hi\n");
  EXPECT_EQ(agent.disk.read_file(spec.alloc_folder + "/f", 100).value_or(""), "hi\n");
  EXPECT(agent.get(agent.exec.remove(*handle)).has_value());
  // Its mounts went with it.
  EXPECT(agent.disk.remove_tree(spec.task_folder).has_value());
  EXPECT(access("/usr/bin", F_OK) == 0);
}

TEST_CASE("A link that a task left where something is mounted is refused") {
  if (!may_isolate()) return;
  Node node;
  TaskSpec spec = isolated(node, "true");
  REQUIRE(symlink("/etc", (spec.task_folder + "/tmp").c_str()) == 0);
  struct stat before, after;
  REQUIRE(stat("/etc", &before) == 0);
  auto handle = node.agent->get(node.agent->exec.start(spec, [](std::string) {}));
  REQUIRE(!handle);
  EXPECT(handle.error().message.find("make /tmp") != std::string::npos);
  REQUIRE(stat("/etc", &after) == 0);
  EXPECT_EQ(before.st_mode, after.st_mode);
}

TEST_CASE("SIGTERM ends a task of exec that does not handle it, and all it has started") {
  if (!may_isolate()) return;
  Node node;
  Agent& agent = *node.agent;
  TaskSpec spec = isolated(node, "setsid sleep 1001 & echo up; exec sleep 1000");
  auto handle = agent.get(agent.exec.start(spec, [](std::string) {}));
  REQUIRE(handle);
  REQUIRE(comes_true([&] { return node.logs("stdout") == "up\n"; }));
  std::string path = node.folder + "/supervisor/runs/alloc-1.1.web/pid";
  auto record = parse_pid_record(read_small_file(AT_FDCWD, path.c_str()).value_or(""));
  REQUIRE(record.has_value());
  EXPECT_EQ(handle->state.get_int("pid"), record->pid);
  REQUIRE(comes_true([&] { return process_tree(record->keeper).size() == 3; }));
  std::vector<pid_t> tree = process_tree(record->keeper);
  auto stats = agent.must(agent.exec.stats(*handle));
  EXPECT(stats.memory_rss_bytes > 0);
  EXPECT(agent.get(agent.exec.stop(*handle, "SIGTERM", 60'000)).has_value());
  EXPECT_EQ(agent.wait(*handle).signal, SIGTERM);
  for (pid_t pid : tree) EXPECT(comes_true([&] { return kill(pid, 0) != 0; }));
}

TEST_CASE(
    "A task over its memory limit is killed, which is known, and its group goes with the run") {
  std::vector<CgroupMount> mounts = find_cgroup_mounts();
  bool memory = false;
  for (const CgroupMount& mount : mounts) memory = memory || mount.memory;
  if (geteuid() != 0 || !memory) return;
  Node node;
  Agent& agent = *node.agent;
  TaskSpec spec = isolated(node, "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}");
  spec.memory_mb = 16;
  spec.cpu_mhz = 500;
  std::vector<std::string> events;
  auto handle = agent.get(
      agent.exec.start(spec, [&](std::string event) { events.push_back(std::move(event)); }));
  REQUIRE(handle);
  EXPECT(events.empty());
  EXPECT(!cgroups_of("alloc-1.1.web").empty());
  TaskExit exit = agent.wait(*handle);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT(exit.oom_killed);
  EXPECT(agent.get(agent.exec.remove(*handle)).has_value());
  EXPECT(comes_true([] { return cgroups_of("alloc-1.1.web").empty(); }));
}

TEST_CASE("The capabilities of a task are the default ones, less and more by configuration") {
  if (!may_isolate()) return;
  Node node;
  Agent& agent = *node.agent;
  TaskSpec spec = isolated(node, "grep CapEff /proc/self/status");
  spec.user = "root";
  spec.config.set("cap_drop", Json::array({"all"}));
  spec.config.set("cap_add", Json::array({"NET_RAW"}));
  auto handle = agent.get(agent.exec.start(spec, [](std::string) {}));
  REQUIRE(handle);
  EXPECT_EQ(agent.wait(*handle).exit_code, 0);
  EXPECT_EQ(node.logs("stdout"), "CapEff:\t0000000000002000\n");
}

TEST_CASE("A task of exec outlives its supervisor, too") {
  if (!may_isolate()) return;
  Node node;
  TaskSpec spec = isolated(node, "echo first; sleep 0.5; echo last; exit 13");
  auto handle = node.agent->get(node.agent->exec.start(spec, [](std::string) {}));
  REQUIRE(handle);
  REQUIRE(kill(node.agent->supervisor_pid(), SIGKILL) == 0);
  EXPECT_EQ(node.agent->wait(*handle).exit_code, 13);
  EXPECT_EQ(node.logs("stdout"), "first\nlast\n");
}
