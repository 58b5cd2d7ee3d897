// The pages, whole: HTML with its style and script, embedded at build time (embed.py). They read
// the same API as everyone else and hold no data of their own.
#pragma once

#include <string_view>

namespace sluice::orchestrator {

/// Jobs, allocations and nodes; served at /ui/ of the jobs API.
extern const std::string_view kJobsPage;
/// The routes of the balancer; served at /routes of the admin address.
extern const std::string_view kRoutesPage;
/// The manual overrides of the routes; served at /manual of the admin address.
extern const std::string_view kManualPage;

}  // namespace sluice::orchestrator
