// What SIGHUP changes of the properties, in the balancer alone and in the agent.
//
// Any thread; the control loop's in both.
#pragma once

#include "app/lb_config.h"
#include "core/log.h"
#include "core/result.h"

namespace sluice {

/// log.level; fabio has FATAL too, above what we ever log.
Result<LogLevel> log_level(const Properties& properties);

/// `now` with what may change while the process runs taken from `read`. The log names each of them
/// that has changed, and each other one, which only a new process takes.
Properties reload_properties(const Properties& now, const Properties& read, Log& log);

}  // namespace sluice
