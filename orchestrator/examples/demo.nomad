// demo.nomad: httpbackend-2 without Docker; ./run submits it:
//   sluice job run -var backend=$PWD/build/bench/demo-backend orchestrator/examples/demo.nomad

variable "backend" {
  default = "demo-backend" // bench/backend, somewhere on the task's PATH
}

job "httpbackend" {
  datacenters = ["dc1"]
  type = "service"

  group "httpbackend" {
    count = 2

    task "httpbackend" {
      driver = "raw_exec"
      config {
        command = var.backend
        args = ["-http", "${NOMAD_ADDR_http}", "-https", "off"]
      }

      resources {
        cpu    = 100
        memory = 64
        network {
          mbits = 10
          port "http" {}
        }
      }

      service {
        name = "httpbackend"
        tags = ["urlprefix-mysite.com:9999/"]
        port = "http"
        check {
          name     = "alive"
          type     = "http"
          path     = "/"
          interval = "1s"
          timeout  = "1s"
        }
      }
    }
  }
}
