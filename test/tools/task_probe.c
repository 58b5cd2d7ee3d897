// What tests run as a task: a small static program that does one thing, as its first argument says.
// It stands alone in an image FROM scratch, where there is no shell.
//
//   lines COUNT PAUSE_US [BURST [WIDTH]]  numbered lines on both streams, with a pause after each
//   or
//                         after so many, filled up to so many bytes, then exit 0 (COUNT 0: no end)
//   long BYTES            one line of that many bytes
//   exit CODE             ends at once
//   stay                  waits; SIGTERM ends it with 0, SIGUSR1 prints a line
//   deaf                  waits; does not hear SIGTERM
//   eat MB                touches that much memory, then waits
//   starve MB             a child eats; ends as a shell would once the child was killed, a second
//                         later: Docker learns of the want of memory and of a container's end by
//                         two ways, and knows only of what came first
//   spin                  works without end, to no purpose
//   env                   prints the environment
//   copy                  its input, to its output and its errors, to the end
//   write FILE TEXT       writes a file, then exit 0
//   tty                   says how large its terminal is, also when that changes; a line of input
//                         ends it, with exit code 7
//   there FILE            exit 0 where there is such a file, else 1 and a line that says so
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static void put(int fd, const char* text, size_t size) {
  while (size > 0) {
    ssize_t written = write(fd, text, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) _exit(9);
    text += written;
    size -= (size_t)written;
  }
}

static void on_term(int number) {
  (void)number;
  put(1, "ending\n", 7);
  _exit(0);
}

static void on_usr1(int number) {
  (void)number;
  put(1, "signal\n", 7);
}

static void say_size(int number) {
  (void)number;
  struct winsize size;
  char text[64] = "no tty\n";
  if (isatty(0) && isatty(1) && ioctl(1, TIOCGWINSZ, &size) == 0) {
    snprintf(text, sizeof text, "tty %dx%d\n", size.ws_row, size.ws_col);
  }
  put(1, text, strlen(text));
}

static void wait_for_ever(void) {
  for (;;) pause();
}

static int eat(long megabytes) {
  for (long i = 0; i < megabytes; ++i) {
    // Volatile: memory that nobody reads need not be touched, and the compiler knows that.
    volatile char* part = malloc(1 << 20);
    if (!part) return 9;
    for (long at = 0; at < 1 << 20; at += 1024) part[at] = 1;
  }
  wait_for_ever();
  return 0;
}

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "stay";
  long number = argc > 2 ? atol(argv[2]) : 0;
  // As the first process of a container it hears only what it asks for.
  signal(SIGTERM, strcmp(what, "deaf") == 0 ? SIG_IGN : on_term);
  signal(SIGUSR1, on_usr1);
  if (strcmp(what, "lines") == 0) {
    long pause_us = argc > 3 ? atol(argv[3]) : 0;
    long burst = argc > 4 ? atol(argv[4]) : 1;
    long width = argc > 5 ? atol(argv[5]) : 0;
    char line[4096];
    if (width > (long)sizeof line) return 9;
    for (long i = 1; number == 0 || i <= number; ++i) {
      int size = snprintf(line, sizeof line, "line %08ld", i);
      while (size + 1 < width) line[size++] = '.';
      line[size++] = '\n';
      put(1, line, (size_t)size);
      put(2, line, (size_t)size);
      if (pause_us > 0 && i % burst == 0) usleep((useconds_t)pause_us);
    }
    return 0;
  }
  if (strcmp(what, "long") == 0) {
    char* line = malloc((size_t)number + 1);
    if (!line) return 9;
    for (long i = 0; i < number; ++i) line[i] = (char)('a' + i % 26);
    line[number] = '\n';
    put(1, line, (size_t)number + 1);
    return 0;
  }
  if (strcmp(what, "exit") == 0) return (int)number;
  if (strcmp(what, "eat") == 0) return eat(number);
  if (strcmp(what, "starve") == 0) {
    pid_t child = fork();
    if (child == 0) return eat(number);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 9;
    sleep(1);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  if (strcmp(what, "spin") == 0) {
    for (volatile unsigned long turns = 0;; ++turns) continue;
  }
  if (strcmp(what, "env") == 0) {
    for (char** one = environ; *one; ++one) {
      put(1, *one, strlen(*one));
      put(1, "\n", 1);
    }
    return 0;
  }
  if (strcmp(what, "copy") == 0) {
    char piece[4096];
    for (ssize_t got; (got = read(0, piece, sizeof piece)) > 0;) {
      put(1, piece, (size_t)got);
      put(2, piece, (size_t)got);
    }
    return 0;
  }
  if (strcmp(what, "write") == 0 && argc > 3) {
    FILE* file = fopen(argv[2], "w");
    if (!file) return 9;
    fputs(argv[3], file);
    return fclose(file) == 0 ? 0 : 9;
  }
  if (strcmp(what, "tty") == 0) {
    struct sigaction action = {.sa_handler = say_size, .sa_flags = SA_RESTART};
    sigaction(SIGWINCH, &action, NULL);
    say_size(0);
    char byte;
    while (read(0, &byte, 1) == 1 && byte != '\n') continue;
    return 7;
  }
  if (strcmp(what, "there") == 0 && argc > 2) {
    if (access(argv[2], F_OK) == 0) return 0;
    put(1, "not there\n", 10);
    return 1;
  }
  put(1, "staying\n", 8);
  wait_for_ever();
}
