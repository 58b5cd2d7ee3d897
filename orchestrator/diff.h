// The difference of two job versions as Nomad's JSON (JobDiff), from the field tables.
//
// {Type, ID, Fields, Objects, TaskGroups: [{Type, Name, Fields, Objects, Updates, Tasks: [{Type,
// Name, Fields, Objects, Annotations}]}]}; types None, Added, Deleted, Edited. Pure.
#pragma once

#include <map>
#include <string>

#include "orchestrator/job.h"
#include "orchestrator/plan.h"

namespace sluice::orchestrator {

/// nullptr: does not exist. Both canonical.
Json diff_jobs(const Job* before, const Job* after);

/// Adds what the plan would do: the groups' counts, and what each change forces.
void annotate(Json& diff, const std::map<std::string, DesiredUpdates>& desired);

}  // namespace sluice::orchestrator
