"""Job files for the tests: the demo backend by raw_exec, and whatever a test adds."""

from . import tree

# For a group: its deployment is over as soon as its tasks run.
AT_ONCE = """update {
      max_parallel     = 3
      health_check     = "task_states"
      min_healthy_time = "0s"
    }"""


def http(name="shop", count=1, host=None, check=True, args=(), env=None, task="", group="",
         service="", restart='attempts = 20\n interval = "1m"\n delay = "100ms"\n mode = "delay"',
         interval="1s", tags=None, job="", driver="raw_exec"):
    """A service of `count` demo backends; `host` routes `host/` to it. In Docker by an image
    backend:1 of the demo backend without arguments."""
    if tags is None:
        tags = ["urlprefix-%s/" % host] if host else []
    checks = """
        check {
          name     = "alive"
          type     = "http"
          path     = "/health"
          interval = "%s"
          timeout  = "1s"
        }""" % interval if check else ""
    if driver == "docker":
        what = 'image = "backend:1"\n        port_map {\n          http = 8080\n        }'
        address = ":8080"
    else:
        what, address = 'command = "%s"' % tree.backend, "${NOMAD_ADDR_http}"
    arguments = ["-http", address, "-https", "off", *args]
    variables = "\n".join('        %s = "%s"' % e for e in (env or {}).items())
    return """
job "%(name)s" {
  datacenters = ["dc1"]
  type = "service"
  %(job)s
  group "%(name)s" {
    count = %(count)d
    restart {
      %(restart)s
    }
    %(group)s
    task "%(name)s" {
      driver = "%(driver)s"
      config {
        %(what)s
        args = [%(arguments)s]
      }
      env {
%(variables)s
      }
      kill_timeout = "5s"
      %(task)s
      resources {
        cpu    = 50
        memory = 32
        network {
          mbits = 1
          port "http" {}
        }
      }
      service {
        name = "%(name)s"
        tags = [%(tags)s]
        port = "http"
        %(service)s%(checks)s
      }
    }
  }
}
""" % {"name": name, "count": count, "arguments": quoted(arguments), "tags": quoted(tags),
       "variables": variables, "checks": checks, "task": task, "group": group, "service": service,
       "restart": restart, "job": job, "driver": driver, "what": what}


def quoted(words):
    return ", ".join('"%s"' % w for w in words)


def batch(name, args, restart='attempts = 0\n mode = "fail"', count=1, task=""):
    """A batch job of demo backends that serve nothing: they print lines and end."""
    return """
job "%s" {
  datacenters = ["dc1"]
  type = "batch"
  group "%s" {
    count = %d
    restart {
      %s
    }
    task "%s" {
      driver = "raw_exec"
      config {
        command = "%s"
        args = [%s]
      }
      %s
      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
""" % (name, name, count, restart, name, tree.backend, quoted(["-http", "off", "-https", "off", *args]), task)
