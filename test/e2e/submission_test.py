"""The text that each version of a job came from is kept beside it."""

import json

import pytest
from helpers.agent import ApiError

TEXT = """
variable "what" {
  default = "none"
}
variable "more" {
  default = ""
}
job "told" {
  type = "batch"
  datacenters = ["dc1"]
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/echo"
        args = [var.what, var.more]
      }
    }
  }
}
"""


def test_submissions(make_agent):
    agent = make_agent(dev=False).start()
    values = agent.folder / "values.hcl"
    values.write_text('more = "a"')
    agent.run(TEXT, flags=["-detach", "-var", "what=x", "-var-file", values])

    def submission(version, job="told"):
        return agent.get("/v1/job/%s/submission" % job, version=version)
    job = agent.get("/v1/job/told")
    assert submission(0) == {
        "JobID": "told", "Namespace": "default", "Version": 0,
        "JobModifyIndex": job["JobModifyIndex"], "Format": "hcl2", "Source": TEXT,
        "VariableFlags": {"what": "x"}, "Variables": 'more = "a"\n'}
    assert "Submission" not in job and "Source" not in job
    job["Meta"] = {"a": "b"}
    text = json.dumps({"Job": job})
    agent.run(text, name="job.json", flags=["-detach"])
    assert (submission(1)["Format"], submission(1)["Source"]) == ("json", text)
    job["Meta"] = {"a": "c"}
    agent.put("/v1/jobs", {"Job": job})  # from nothing that is known

    def refused(call):
        with pytest.raises(ApiError) as refusal:
            call()
        return refusal.value.status, refusal.value.text
    for version, name in ((2, "told"), (9, "told"), (0, "none")):
        assert refused(lambda: submission(version, name)) == (404, "job source not found")
    for version in ("x", "-1", ""):
        assert refused(lambda: submission(version)) == (
            400, "Unable to parse job submission version parameter")
    job["Meta"] = {"a": "d"}
    assert refused(lambda: agent.put("/v1/jobs", {"Job": job, "Submission": {"Source": 1}})) == (
        400, "Submission: Source: expected a text, not 1")
    agent.kill()
    agent.start()
    assert submission(0)["Source"] == TEXT and submission(1)["Source"] == text
    assert agent.verb("job", "stop", "-detach", "-purge", "told").code == 0
    assert refused(lambda: submission(0)) == (404, "job source not found")
