// The supervisor's executable: takes its folder, goes into the background once it listens, and
// serves.
//
//   sluice-supervisor --dir FOLDER --build ID [--resume LOCK,SOCKET,SOFT,HARD,SCORE]
//
// Exit status of the process in front: 0 listening, 3 another supervisor has the folder, 1 trouble
// (on standard error). --resume: executed by an older build with its lock and socket open.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "drivers/exec/supervisor.h"
#include "drivers/exec/supervisor_clock.h"

namespace sluice::drivers::exec {
namespace {

constexpr int kBusyExit = 3;
constexpr int kBacklog = 1024;
constexpr int64_t kLockWaitMs = 3'000;  // for one that is just ending

int trouble(const char* doing) {
  fprintf(stderr, "sluice-supervisor: %s: %s\n", doing, strerror(errno));
  return 1;
}

Fd take_lock() {
  Fd lock(open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  for (int64_t until = monotonic_ms() + kLockWaitMs; lock;) {
    if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK || monotonic_ms() > until) return {};
    usleep(10'000);
  }
  return {};
}

Fd listen_here() {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, "socket");  // relative: a folder's path may be longer than a socket's
  unlink(address.sun_path);
  if (!fd || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      chmod(address.sun_path, 0600) != 0 || listen(fd.get(), kBacklog) != 0) {
    return {};
  }
  return fd;
}

/// What this process changes for itself; tasks get the old values.
void take_limits(SupervisorOptions& options) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  options.open_files_soft = files.rlim_cur;
  options.open_files_hard = files.rlim_max;
  if (auto score = read_small_file(AT_FDCWD, "/proc/self/oom_score_adj")) {
    options.oom_score = score->substr(0, score->find('\n'));
  }
}

void raise_limits(const SupervisorOptions& options) {
  rlimit files{options.open_files_hard, options.open_files_hard};
  setrlimit(RLIMIT_NOFILE, &files);
  // Its end would block every task on its log; without the right to it, it is as likely as any.
  Fd score(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (score) [[maybe_unused]]
    ssize_t ignored = write(score.get(), "-900", 4);
}

bool read_resume(const char* text, SupervisorOptions& options) {
  int lock = -1, listener = -1;
  unsigned long long soft = 0, hard = 0;
  char score[16] = "0";
  if (sscanf(text, "%d,%d,%llu,%llu,%15s", &lock, &listener, &soft, &hard, score) != 5)
    return false;
  options.lock = Fd(lock);
  options.listener = Fd(listener);
  options.open_files_soft = soft;
  options.open_files_hard = hard;
  options.oom_score = score;
  return fcntl(lock, F_SETFD, FD_CLOEXEC) == 0 && fcntl(listener, F_SETFD, FD_CLOEXEC) == 0;
}

/// In front until we listen, then in the background, a session of our own, held by nothing.
bool go_to_background() {
  pid_t child = fork();
  if (child < 0) return false;
  if (child > 0) _exit(0);
  setsid();
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd : {0, 1, 2}) dup2(null, fd);
  close(null);
  return true;
}

}  // namespace

int supervisor_main(int argc, char** argv) {
  SupervisorOptions options;
  const char* resume = nullptr;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--dir") == 0) options.folder = argv[i + 1];
    if (strcmp(argv[i], "--build") == 0) options.build = argv[i + 1];
    if (strcmp(argv[i], "--resume") == 0) resume = argv[i + 1];
  }
  if (!options.folder.starts_with('/') || options.build.empty()) {
    fprintf(stderr, "usage: sluice-supervisor --dir ABSOLUTE-FOLDER --build ID\n");
    return 2;
  }
  umask(077);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);  // an ignored one would reap behind our back
  if (chdir(options.folder.c_str()) != 0) return trouble(options.folder.c_str());
  if (resume != nullptr) {
    if (!read_resume(resume, options)) return trouble("--resume");
  } else {
    take_limits(options);
    options.lock = take_lock();
    if (!options.lock) return errno == EWOULDBLOCK ? kBusyExit : trouble("lock");
    if (mkdir("runs", 0700) != 0 && errno != EEXIST) return trouble("runs");
    if (mkfifo("notify", 0600) != 0 && errno != EEXIST) return trouble("notify");
    options.listener = listen_here();
    if (!options.listener) return trouble("socket");
    if (!go_to_background()) return trouble("fork");
  }
  raise_limits(options);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  Supervisor supervisor(std::move(options));
  return supervisor.run();
}

}  // namespace sluice::drivers::exec

int main(int argc, char** argv) {
  return sluice::drivers::exec::supervisor_main(argc, argv);
}
