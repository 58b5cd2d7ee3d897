"""A proto=prometheus listener shows what the reactors counted."""

import re

from helpers.ports import free_port
from helpers.wait import until


def numbers(curl, port, path="/metrics"):
    text = curl("http://127.0.0.1:%d%s" % (port, path)).body
    return {m.group(1): float(m.group(2))
            for m in re.finditer(r"^([a-z_]+(?:\{[^}]*\})?) ([0-9.e+]+)$", text, re.M)}


def test_counters_by_service_and_class(lb, backend, curl):
    port, tcp, metrics = free_port(), free_port(), free_port()
    one = backend()
    dead = "http://127.0.0.1:%d/" % free_port()
    balancer = lb(
        listeners="127.0.0.1:%d,127.0.0.1:%d;proto=tcp,127.0.0.1:%d;proto=prometheus"
                  % (port, tcp, metrics),
        registry_backend="static", proxy_threads=2,
        metrics_prometheus_path="/numbers", metrics_prometheus_buckets="0.05,1,5",
        registry_static_routes="route add web mysite.com/ %s\nroute add db :%d tcp://127.0.0.1:%d"
                               "\nroute add web mysite.com/st %s\nroute add none none.com/ %s"
                               % (one.http_url, tcp, one.https_port, one.http_url, dead)).start()
    url = "http://127.0.0.1:%d" % port
    for path, count in (("/", 5), ("/status/404", 2), ("/status/503", 1), ("/sleep/200", 1)):
        for _ in range(count):
            curl(url + path, "-H", "Host: mysite.com")
    curl(url, "-H", "Host: nobody.test")
    curl(url, "-H", "Host: none.com")
    curl("-k", "https://127.0.0.1:%d/" % tcp)

    def found():
        return numbers(curl, metrics, "/numbers")
    until(lambda: found().get('sluice_tunnels_total{service="db"}') == 1, "the tunnel is counted")
    now = found()
    web = 'sluice_responses_total{service="web",code="%s"}'
    assert (now[web % "2xx"], now[web % "4xx"], now[web % "5xx"]) == (6, 2, 1)
    assert now['sluice_responses_total{service="",code="4xx"}'] == 1
    # By route as well: its key is the listing's src.
    route = 'sluice_route_responses_total{service="web",route="mysite.com%s",code="%s"}'
    assert now[route % ("/", "2xx")] == 6 and route % ("/", "4xx") not in now
    assert (now[route % ("/st", "4xx")], now[route % ("/st", "5xx")]) == (2, 1)
    assert now['sluice_route_response_seconds_count{service="web",route="mysite.com/st"}'] == 3
    # A route that sends nobody anywhere is counted under its name, too.
    assert now['sluice_responses_total{service="none",code="5xx"}'] == 1
    assert now["sluice_requests_total"] == 11
    assert now["sluice_connections_total"] == 12
    assert now['sluice_tunnel_bytes_total{service="db",way="down"}'] > 1000
    time = 'sluice_response_seconds_bucket{service="web",le="%s"}'
    # The one that slept is above the first bound; on a loaded machine others may be, too.
    assert now[time % "0.05"] <= 8 and now[time % "0.05"] <= now[time % "5"] <= 9
    assert now[time % "+Inf"] == 9
    assert now['sluice_response_seconds_count{service="web"}'] == 9
    assert now['sluice_response_seconds_sum{service="web"}'] >= 0.2
    assert now["sluice_routes"] == 4
    assert curl("http://127.0.0.1:%d/metrics" % metrics).status == 404
