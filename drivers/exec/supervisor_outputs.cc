// The supervisor's copying of output from the FIFOs into the log files.
#include <fcntl.h>
#include <sys/epoll.h>

#include "drivers/exec/supervisor.h"

namespace sluice::drivers::exec {
namespace {

constexpr int64_t kLastBytes = 4 << 20;  // a straggler that goes on writing is cut off here

}  // namespace

void Supervisor::open_outputs(Run& run) {
  for (Output* output : {&run.out, &run.err}) {
    bool is_out = output == &run.out;
    const char* stream = is_out ? "stdout" : "stderr";
    output->fifo =
        Fd(open((run_folder(run.name) + "/" + stream).c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    std::string prefix = std::string(run.record.get("log_prefix")) + "." + stream;
    std::weak_ptr<LogFiles>& shared = files_[prefix];
    output->files = shared.lock();
    if (!output->files) {
      output->files = std::make_shared<LogFiles>(prefix, run.record.get_int("log_max_files", 10),
                                                 run.record.get_int("log_max_bytes", 10 << 20));
      shared = output->files;
    }
    if (output->fifo) {
      watch(output->fifo.get(), is_out ? Kind::kStdout : Kind::kStderr, run.number, EPOLLIN);
    }
  }
}

void Supervisor::copy_output(Run&, Output& output, int64_t budget_bytes) {
  if (!output.fifo) return;
  int64_t dropped = output.files->dropped_bytes();
  output.files->take(output.fifo.get(), peek_, budget_bytes);
  if (dropped == 0 && output.files->dropped_bytes() > 0) {
    log("output is dropped: " + output.files->trouble());
  }
}

void Supervisor::close_outputs(Run& run) {
  for (Output* output : {&run.out, &run.err}) {
    copy_output(run, *output, kLastBytes);
    unwatch(output->fifo);
    output->files.reset();
  }
  std::erase_if(files_, [](auto& entry) { return entry.second.expired(); });
}

}  // namespace sluice::drivers::exec
