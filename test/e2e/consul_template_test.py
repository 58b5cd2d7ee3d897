"""consul-template reads the embedded catalog as it reads a Consul: the same files of the same jobs,
and new ones whenever instances come and go."""

import json
import os
import re
import signal
import subprocess
import urllib.request

import pytest
from helpers import catalog_job, go_tool
from helpers.consul import Consul
from helpers.process import Process
from helpers.wait import until

VERSION = "0.30.0"  # of test/tools/consul_template/go.mod

EVERYTHING = """
{{ range services }}{{ .Name }}: {{ .Tags | join "," }}
{{ end }}{{ range nodes }}{{ .Address }} {{ .Datacenter }} {{ len .ID }} {{ .TaggedAddresses }}
{{ end }}{{ range $s := services }}{{ range service .Name "any" }}{{ .Name }} {{ .Status }} \
{{ .Address }} {{ .NodeAddress }} {{ .Tags | join "," }} {{ .ServiceMeta.team }} {{ .NodeMeta }} \
{{ .Weights.Passing }} {{ len .Checks }} {{ len .ServiceTaggedAddresses }}
{{ end }}{{ end }}passing, warning:\
{{ range service "dull|passing,warning" }} {{ .Status }}{{ end }}
passing:{{ range service "dull" }} {{ .Status }}{{ end }}
critical:{{ range service "sick|critical" }} {{ .Status }}{{ end }}
tag:{{ range service "Blue.shop" }} {{ .Name }}{{ end }}\
{{ range service "nope.shop" }} none{{ end }}
datacenter:{{ range service "shop@dc1" }} {{ .Name }}{{ end }}\
{{ range services "@dc1" }} {{ .Name }}{{ end }}
near:{{ range service "shop~_agent" }} {{ .Name }}{{ end }}
by tag:{{ range $t, $s := service "shop" | byTag }} {{ $t }}={{ len $s }}{{ end }}\
{{ range $t, $s := services | byTag }} {{ $t }}={{ len $s }}{{ end }}
by meta:{{ range $k, $s := service "shop" | byMeta "team" }} {{ $k }}={{ len $s }}{{ end }}
node:{{ with node }}{{ .Node.Address }}{{ range .Services }} {{ .Service }} \
{{ .Tags | join "," }} {{ .Meta.team }};{{ end }}{{ end }}
datacenters:{{ range datacenters }} {{ . }}{{ end }}
keys: {{ keyExists "a" }} {{ keyOrDefault "a/b" "other" }}{{ range ls "x" }} l{{ end }}\
{{ range tree "x" }} t{{ end }}
"""
NGINX = """
upstream shop {
{{ range service "shop" }}  server {{ .Address }}:{{ .Port }};
{{ else }}  server 127.0.0.1:65535;
{{ end }}}
"""


@pytest.fixture(scope="module")
def consul_template():
    return go_tool.program("consul_template", VERSION, "github.com/hashicorp/consul-template")


def rendered(program, folder, address, text):
    source, target = folder / "in.tpl", folder / "out"
    source.write_text(text)
    out = subprocess.run(
        [program, "-once", "-template", "%s:%s" % (source, target), "-consul-addr", address],
        capture_output=True, text=True, timeout=30)
    assert out.returncode == 0, out.stderr
    return target.read_text()


def test_the_same_as_of_a_consul(consul_template, make_agent, tmp_path):
    consul = Consul(tmp_path)
    consul.start()
    try:
        texts = []
        for name, flags in (("own", []), ("consul", ["-consul-address", consul.address])):
            agent = make_agent(name, flags=flags).start()
            agent.run(catalog_job.text(), flags=["-detach"])
            address = consul.address if flags else agent.catalog.removeprefix("http://")
            until(lambda: rendered(consul_template, tmp_path, address, NGINX).count("server") == 2
                  and "warning" in rendered(consul_template, tmp_path, address,
                                            '{{ range service "dull|any" }}{{ .Status }}{{ end }}'),
                  "the checks have spoken", 20)
            texts.append(rendered(consul_template, tmp_path, address, EVERYTHING))
            agent.stop_jobs()
        # Of the service of Consul's own servers the meta is Consul's.
        assert texts[0].splitlines() == texts[1].splitlines()
        assert "shop passing" in texts[0] and "critical: critical" in texts[0]
    finally:
        consul.stop()


def test_a_file_for_nginx_follows_the_instances(consul_template, make_agent, tmp_path):
    agent = make_agent().start()
    agent.run(catalog_job.text(), flags=["-detach"])
    source, target = tmp_path / "nginx.tpl", tmp_path / "nginx.conf"
    source.write_text(NGINX)
    process = Process([consul_template, "-template", "%s:%s" % (source, target), "-wait", "50ms:1s",
                       "-consul-addr", agent.catalog.removeprefix("http://")],
                      tmp_path, "consul-template", env=dict(os.environ))

    def ports():
        text = target.read_text() if target.exists() else ""
        return sorted(map(int, re.findall(r"server 127\.0\.0\.1:(\d+);", text)))

    def passing():
        with urllib.request.urlopen(agent.catalog + "/v1/health/service/shop?passing") as answer:
            return sorted(e["Service"]["Port"] for e in json.load(answer))
    try:
        for count in (2, 5, 1, 3):
            until(lambda: agent.put("/v1/job/shop/scale",
                                    {"Count": count, "Target": {"Group": "shop"}}),
                  "no deployment is under way", 30)
            until(lambda: len(ports()) == count and ports() == passing(),
                  "%d servers in nginx.conf" % count, 20)
        agent.stop_jobs()
        until(lambda: ports() == [65535], "none is left", 20)
        assert process.running()
    finally:
        process.popen.send_signal(signal.SIGINT)  # it passes SIGTERM on to nobody
        process.wait(15)
