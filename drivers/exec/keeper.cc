// The keeper: the parent of one task, in a few pages of memory.
//
// What for: only a parent learns a process's exit status, so a task whose parent is the supervisor
// loses it when the supervisor is killed. The keeper outlives the supervisor: it waits for the
// task, ends what the task left running, writes the status into the run's folder, and holds both
// log FIFOs open until a supervisor has read them empty, because a FIFO that nobody holds loses
// what is in it.
//
// It is built without a C library (a static program of the C library would hold ten times the
// memory), and executed by the supervisor's child (launch.cc), which has forked the task before, so
// that the task is this process's child already. Every signal is blocked; a supervisor asks with
// kKeeperSignal and a value (pidfd_send_signal), and because the task is not reaped before its end
// was recorded, a signal sent from here never meets a reused number.
//
// argv: the program, the run's name, the task's pid, and "init" where the keeper is process 1 of a
// pid namespace: then /proc shows other numbers than ours, and whom we may signal is below us
// anyway. Descriptors: see keeper.h.
#include "drivers/exec/keeper.h"

#include <asm/unistd.h>
#include <linux/fcntl.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <linux/wait.h>

namespace {

using sluice::drivers::exec::kKeeperFolderFd;
using sluice::drivers::exec::kKeeperGroupFlag;
using sluice::drivers::exec::kKeeperSignal;
using sluice::drivers::exec::kKeeperTreeFlag;
using Word = long;

#if defined(__x86_64__)
Word call(Word number, Word a = 0, Word b = 0, Word c = 0, Word d = 0, Word e = 0) {
  Word result;
  register Word r10 __asm__("r10") = d;
  register Word r8 __asm__("r8") = e;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
Word call(Word number, Word a = 0, Word b = 0, Word c = 0, Word d = 0, Word e = 0) {
  register Word x8 __asm__("x8") = number;
  register Word x0 __asm__("x0") = a;
  register Word x1 __asm__("x1") = b;
  register Word x2 __asm__("x2") = c;
  register Word x3 __asm__("x3") = d;
  register Word x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#else
#error "the keeper knows the system calls of x86_64 and aarch64 only"
#endif

template <class T>
Word address_of(T* pointer) {
  return reinterpret_cast<Word>(pointer);
}

// What the C library's headers would give; the kernel's own do not define them outside of it.
constexpr Word kNoHang = 1, kExited = 4, kNoWait = 0x01000000;
constexpr Word kWaitAll = 0;
constexpr Word kUnreadBytes = 0x541B;  // FIONREAD
constexpr int kKill = 9, kChild = 17;
constexpr int kQueued = -1;       // SI_QUEUE
constexpr int kCodeExited = 1;    // CLD_EXITED
constexpr int kTreeRounds = 100;  // of 10 ms: a task that forks faster than that is given up
constexpr int kRecordBytes = 64;

void sleep_ms(long ms) {
  __kernel_timespec time{ms / 1000, (ms % 1000) * 1'000'000};
  call(__NR_nanosleep, address_of(&time));
}

int parse_number(const char* text) {
  int value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
  return value;
}

char* put_text(char* out, const char* text) {
  while (*text != 0) *out++ = *text++;
  return out;
}

char* put_number(char* out, unsigned long value) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (count > 0) *out++ = digits[--count];
  return out;
}

/// Kills the direct children but `spared`; what they leave becomes ours in turn. True if there were
/// any.
bool kill_children(int spared) {
  char text[1024];
  Word fd =
      call(__NR_openat, AT_FDCWD, address_of("/proc/thread-self/children"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  Word count = call(__NR_read, fd, address_of(text), sizeof text - 1);
  call(__NR_close, fd);
  if (count <= 0) return false;
  text[count] = 0;
  bool any = false;
  for (char* at = text; *at != 0;) {
    int pid = parse_number(at);
    while (*at >= '0' && *at <= '9') ++at;
    // A number at the end of a full buffer may be cut: leave it to the next round.
    bool whole = *at != 0 || count < static_cast<Word>(sizeof text) - 1;
    while (*at == ' ') ++at;
    if (pid > 0 && pid != spared && whole) {
      any = true;
      call(__NR_kill, pid, kKill);
    }
  }
  return any;
}

/// All of our pid namespace: its process 1 reaps everybody, and the kernel lets it signal nobody
/// else.
void end_namespace() {
  for (int round = 0; round < kTreeRounds; ++round) {
    call(__NR_kill, -1, kKill);
    Word reaped;
    do reaped = call(__NR_wait4, -1, 0, kNoHang, 0);
    while (reaped > 0);
    if (reaped < 0) return;  // ECHILD: all gone
    if (round > 0) sleep_ms(10);
  }
}

/// Reaps the children but the task. True once the task has ended (it is left as a zombie).
bool reap(int task, siginfo_t& ended) {
  for (;;) {
    siginfo_t info;
    info.si_pid = 0;
    if (call(__NR_waitid, kWaitAll, 0, address_of(&info), kExited | kNoHang | kNoWait, 0) != 0 ||
        info.si_pid == 0) {
      // The task may be among several and not the first: ask for it by name too.
      info.si_pid = 0;
      call(__NR_waitid, 1, task, address_of(&info), kExited | kNoHang | kNoWait, 0);
      if (info.si_pid != task) return false;
      ended = info;
      return true;
    }
    if (info.si_pid == task) {
      ended = info;
      return true;
    }
    call(__NR_wait4, info.si_pid, 0, kNoHang, 0);
  }
}

/// Reaps children that have ended, the task apart.
void reap_others(int task) {
  char text[1024];
  Word fd =
      call(__NR_openat, AT_FDCWD, address_of("/proc/thread-self/children"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  Word count = call(__NR_read, fd, address_of(text), sizeof text - 1);
  call(__NR_close, fd);
  if (count <= 0) return;
  text[count] = 0;
  for (char* at = text; *at != 0;) {
    int pid = parse_number(at);
    while (*at >= '0' && *at <= '9') ++at;
    while (*at == ' ') ++at;
    if (pid > 0 && pid != task) call(__NR_wait4, pid, 0, kNoHang, 0);
  }
}

/// The task's group, and whoever is our child: as a subreaper we get what the task orphans.
void end_tree(int task) {
  call(__NR_kill, -task, kKill);
  for (int round = 0; round < kTreeRounds && kill_children(task); ++round) {
    reap_others(task);
    if (round > 0) sleep_ms(10);
  }
  call(__NR_wait4, task, 0, 0, 0);
}

void handle(int task, bool init, int request) {
  int number = request & 0xff;
  if ((request & kKeeperTreeFlag) != 0 && init) {
    call(__NR_kill, -1, kKill);
    return;
  }
  if ((request & kKeeperTreeFlag) != 0) {
    call(__NR_kill, -task, kKill);
    call(__NR_kill, task, kKill);
    kill_children(0);
    return;
  }
  bool group = (request & kKeeperGroupFlag) != 0;
  // Before the task has made its own group, the group is not there.
  if (!group || call(__NR_kill, -task, number) != 0) call(__NR_kill, task, number);
}

void wait_for_end(int task, bool init, siginfo_t& ended) {
  unsigned long mask = 1UL << (kKeeperSignal - 1) | 1UL << (kChild - 1);
  for (;;) {
    if (reap(task, ended)) return;
    siginfo_t info;
    Word got = call(__NR_rt_sigtimedwait, address_of(&mask), address_of(&info), 0, sizeof mask);
    if (got == kKeeperSignal && info.si_code == kQueued) handle(task, init, info.si_int);
  }
}

void write_record(const siginfo_t& ended) {
  __kernel_timespec now{0, 0};
  call(__NR_clock_gettime, 0, address_of(&now));
  char record[kRecordBytes];
  for (char& byte : record) byte = ' ';
  bool exited = ended.si_code == kCodeExited;
  char* at = put_text(record, "exit ");
  at = put_number(at, exited ? static_cast<unsigned long>(ended.si_status) : 0);
  *at++ = ' ';
  at = put_number(at, exited ? 0 : static_cast<unsigned long>(ended.si_status));
  *at++ = ' ';
  put_number(at, static_cast<unsigned long>(now.tv_sec) * 1'000'000'000UL +
                     static_cast<unsigned long>(now.tv_nsec));
  record[kRecordBytes - 1] = '\n';
  // The file was made with its full size beforehand, so that a full disk does not lose the status.
  for (;;) {
    Word fd = call(__NR_openat, kKeeperFolderFd, address_of("exit.new"),
                   O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool written =
        fd >= 0 && call(__NR_write, fd, address_of(record), kRecordBytes) == kRecordBytes;
    if (fd >= 0) {
      call(__NR_fsync, fd);
      call(__NR_close, fd);
    }
    if (written && call(__NR_renameat2, kKeeperFolderFd, address_of("exit.new"), kKeeperFolderFd,
                        address_of("exit"), 0) == 0) {
      break;
    }
    if (call(__NR_faccessat, kKeeperFolderFd, address_of("task"), 0) != 0) {
      return;  // the folder was removed: nobody wants the status any more
    }
    sleep_ms(1000);
  }
  call(__NR_fsync, kKeeperFolderFd);
}

/// Tells a supervisor that listens; one that starts later looks into the folder by itself.
void notify(const char* run) {
  Word fd = call(__NR_openat, kKeeperFolderFd, address_of("../../notify"),
                 O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  char line[300];
  char* at = put_text(line, run);
  *at++ = '\n';
  call(__NR_write, fd, address_of(line), at - line);
  call(__NR_close, fd);
}

bool logs_are_read() {
  const int logs[] = {sluice::drivers::exec::kKeeperStdoutFd,
                      sluice::drivers::exec::kKeeperStderrFd};
  for (int fd : logs) {
    int unread = 0;
    if (call(__NR_ioctl, fd, kUnreadBytes, address_of(&unread)) == 0 && unread > 0) return false;
  }
  return true;
}

}  // namespace

extern "C" [[noreturn]] void keeper_main(long argc, char** argv) {
  int task = argc >= 3 ? parse_number(argv[2]) : 0;
  if (task > 0) {
    unsigned long all = ~0UL;
    call(__NR_rt_sigprocmask, 0, address_of(&all), 0, sizeof all);
    // The task waits for this byte: it runs only once its status is sure to be kept.
    call(__NR_write, sluice::drivers::exec::kKeeperReleaseFd, address_of("g"), 1);
    call(__NR_close, sluice::drivers::exec::kKeeperReleaseFd);
    bool init = argc >= 4;
    siginfo_t ended;
    wait_for_end(task, init, ended);
    if (init) {
      end_namespace();
    } else {
      end_tree(task);
    }
    write_record(ended);
    notify(argv[1]);
    for (long pause_ms = 10; !logs_are_read(); pause_ms = pause_ms < 500 ? pause_ms * 2 : 500) {
      sleep_ms(pause_ms);
    }
  }
  for (;;) call(__NR_exit_group, task > 0 ? 0 : 2);
}

// The kernel starts a program with argc and argv on the stack and no return address.
#if defined(__x86_64__)
__asm__(
    ".globl _start\n_start:\n"
    "xor %ebp, %ebp\nmov (%rsp), %rdi\nlea 8(%rsp), %rsi\nand $-16, %rsp\ncall keeper_main\n");
#else
__asm__(
    ".globl _start\n_start:\n"
    "mov x29, #0\nldr x0, [sp]\nadd x1, sp, #8\nbl keeper_main\n");
#endif

// The compiler may call these for what the source does by hand.
extern "C" void* memset(void* to, int value, unsigned long count) {
  volatile char* at = static_cast<char*>(to);
  while (count-- > 0) *at++ = static_cast<char>(value);
  return to;
}
extern "C" void* memcpy(void* to, const void* from, unsigned long count) {
  volatile char* at = static_cast<char*>(to);
  const char* source = static_cast<const char*>(from);
  while (count-- > 0) *at++ = *source++;
  return to;
}
