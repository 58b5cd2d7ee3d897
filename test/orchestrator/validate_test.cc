// What validate() refuses, beyond the table of wrong files in test/e2e/bad_input_test.py.
#include "orchestrator/validator.h"

#include <algorithm>

#include "test/orchestrator/sample_state.h"
#include "test/test.h"

namespace sluice::orchestrator {

namespace {

bool refused(const Job& job, std::string_view what) {
  const Problems problems = validate(job, {});
  return std::any_of(problems.begin(), problems.end(), [&](const std::string& problem) {
    return problem.find(what) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("restart: mode delay without attempts says two things at once") {
  Job job = *test::sample_job("web");
  RestartPolicy& policy = *job.groups[0].restart;
  constexpr std::string_view kWhat = "mode delay needs attempts above 0";
  policy.mode = "delay";
  EXPECT(!refused(job, kWhat));
  policy.attempts = 0;
  EXPECT(refused(job, kWhat));
  policy.mode = "fail";
  EXPECT(!refused(job, kWhat));
}

}  // namespace sluice::orchestrator
