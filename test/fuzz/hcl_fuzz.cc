// core/hcl and the job files: no text hangs or breaks the parser, and an error names its place.
#include "core/hcl/parser.h"
#include "orchestrator/job_hcl.h"
#include "test/fuzz/fuzz.h"

namespace sluice::fuzz {

void run(std::string_view input) {
  const std::string text(input);
  Result<hcl::File> file = hcl::parse_file("f.hcl", text);
  if (!file) CHECK(file.error().message.find("f.hcl:") != std::string::npos);
  Result<Json> job = orchestrator::parse_job_hcl("f.nomad", text);
  if (!job) {
    CHECK(!job.error().message.empty());
  } else {
    CHECK(file.has_value());
  }
  (void)hcl::parse_template("t", text);
}

}  // namespace sluice::fuzz
