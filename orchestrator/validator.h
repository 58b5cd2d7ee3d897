// Validator: the class behind validate() (orchestrator/job.h), a check a block of the job language.
//
//   validate.cc          the job, its groups, and what every level shares
//   validate_task.cc     tasks: resources, artifacts, templates, mounts
//   validate_service.cc  services and their checks
//
// Lives for one call of validate(); any thread.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/job.h"

namespace sluice::orchestrator {

template <size_t N>
bool one_of(std::string_view value, const std::array<std::string_view, N>& known) {
  return std::find(known.begin(), known.end(), value) != known.end();
}

class Validator {
 public:
  Validator(const Job& job, const StringList& drivers) : job_(job), drivers_(drivers) {}
  Problems run();

 private:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    problems_.push_back(place_ + fmt::format(format, std::forward<Args>(args)...));
  }
  /// Messages name where they are; the place is restored when the guard goes.
  struct Inside {
    Inside(Validator& v, std::string where) : validator(v), before(v.place_.size()) {
      validator.place_ += where;
    }
    ~Inside() { validator.place_.resize(before); }
    Validator& validator;
    size_t before;
  };

  void check_job();
  void check_group(const TaskGroup& group);
  void check_group_blocks(const TaskGroup& group);
  void check_group_ports(const TaskGroup& group);
  void check_update(const UpdateStrategy& update);
  void check_task(const TaskGroup& group, const TaskConfig& task);
  void check_resources(const Resources& resources);
  void check_services(const TaskGroup& group, const TaskConfig* task,
                      const std::vector<Service>& services);
  void check_address_mode(const std::string& mode);
  void check_check(const TaskGroup& group, const TaskConfig* task, const Service& service,
                   const Check& check);
  void check_constraints(const std::vector<Constraint>& constraints);
  void check_affinities(const std::vector<Affinity>& affinities);
  void check_spreads(const std::vector<Spread>& spreads);
  void check_networks(const std::vector<Network>& networks, bool of_group);
  void check_restart(const RestartPolicy& policy);
  void check_name(std::string_view what, const std::string& name);
  [[nodiscard]] static bool has_port(const TaskGroup& group, const TaskConfig* task,
                                     std::string_view label);

  const Job& job_;
  const StringList& drivers_;
  std::string place_;
  Problems problems_;
};

}  // namespace sluice::orchestrator
