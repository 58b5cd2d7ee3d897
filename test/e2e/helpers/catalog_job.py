"""One job for the embedded catalog and for a real Consul, whose answers are compared."""

from . import jobs, tree

ODD = """
  group "odd" {
    %(update)s
    task "odd" {
      driver = "raw_exec"
      config {
        command = "%(backend)s"
        args = ["-http", "${NOMAD_ADDR_http}", "-https", "off"]
      }
      resources {
        cpu    = 50
        memory = 32
        network {
          port "http" {}
        }
      }
      service {
        name = "sick"
        port = "http"
        check {
          type     = "http"
          path     = "/status/500"
          interval = "1s"
          timeout  = "1s"
        }
      }
      service {
        name = "dull"
        port = "http"
        check {
          type     = "http"
          path     = "/status/429"
          interval = "1s"
          timeout  = "1s"
        }
      }
      service {
        name = "bare"
        port = "http"
      }
    }
  }
""" % {"backend": tree.backend, "update": jobs.AT_ONCE}


def text(count=2):
    """Services shop (`count` instances, tags a and Blue), sick (critical), dull (warning) and bare
    (no check)."""
    return jobs.http(count=count, tags=["a", "Blue"], group=jobs.AT_ONCE, job=ODD,
                     service='meta {\n team = "x"\n }\n')
