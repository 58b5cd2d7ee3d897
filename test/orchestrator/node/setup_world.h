// Allocations whose tasks need something made ready: files, artifacts, templates; and what became
// of it.
#pragma once

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "test/orchestrator/node/node_world.h"

namespace sluice::orchestrator::test {

inline std::string content(const std::string& path) {
  std::ifstream file(path);
  std::stringstream out;
  out << file.rdbuf();
  return file ? out.str() : "(none)";
}

/// An allocation whose one task has these templates and artifacts.
inline std::shared_ptr<Allocation> make_setup(const std::string& id,
                                              std::vector<Template> templates,
                                              std::vector<Artifact> artifacts = {}) {
  auto alloc = std::make_shared<Allocation>(*make_alloc(id));
  auto job = std::make_shared<Job>(*alloc->job);
  TaskConfig& task = job->groups[0].tasks[0];
  task.templates = std::move(templates);
  task.artifacts = std::move(artifacts);
  task.env["COLOUR"] = "blue";
  alloc->job = job;
  return alloc;
}

inline std::string last_event(World& world, const std::string& type) {
  std::string text;
  for (const TaskEvent& event : world.link.reports["a"].task_states["srv"].events) {
    if (event.type == type) text = event.message;
  }
  return text;
}

}  // namespace sluice::orchestrator::test
