"""A real fabio and sluice on one real Consul: the same overrides, tags, checks and maintenance make
the same routes; and both admin APIs answer alike."""

import json

import pytest
from helpers.balancer import Balancer
from helpers.fabio import Fabio
from helpers.wait import until


@pytest.fixture
def pair(consul, tmp_path):
    """pair(**flags) -> a fabio and a sluice that are ready."""
    def start(**flags):
        both = [kind(tmp_path / kind.__name__, registry_consul_addr=consul.address,
                     registry_consul_register_name=kind.__name__.lower(), **flags).launch()
                for kind in (Fabio, Balancer)]
        for each in both:  # launched together
            each.launch = lambda: None
            each.start()
        return both
    return start


def listed(balancer):
    """What takes traffic, as service, source, destination, weight and the user's own tags. sluice
    also lists what is not healthy, with a weight of 0: such a route is 503 there and no 404."""
    return sorted((r["service"], r["src"], r["dst"].removesuffix("/"), round(r["weight"], 4),
                   tuple(r.get("tags") or ()))
                  for r in balancer.get("/api/routes") or [] if r.get("healthy", True))


def agree(both, what, wanted):
    """Until both have these sources. Their routes are then the same."""
    def there():
        theirs, ours = (listed(each) for each in both)
        assert {r[1] for r in theirs} == {r[1] for r in ours} == set(wanted)
        assert theirs == ours
        return True, theirs
    return until(there, "%s: both route %s" % (what, sorted(wanted)), 10)[1]


COMMANDS = {
    "a share of those with a tag": [
        'route add a a.com/ http://127.0.0.1:1/ tags "x,y"',
        'route add a a.com/ http://127.0.0.1:2/ tags "y"',
        'route weight a a.com/ weight 0.3 tags "x"'],
    "a share of a service": [
        "route add a a.com/ http://127.0.0.1:1/", "route add a a.com/ http://127.0.0.1:2/",
        "route add b a.com/ http://127.0.0.1:3/", "route weight a a.com/ weight 0.4"],
    "a share of a tag alone": [
        'route add a a.com/ http://127.0.0.1:1/ tags "v1"',
        'route add b a.com/ http://127.0.0.1:2/ tags "v2"',
        'route weight a.com/ weight 0.1 tags "v2"'],
    "shares over 1": ["route add a a.com/ http://127.0.0.1:1/ weight 3",
                      "route add a a.com/ http://127.0.0.1:2/ weight 1"],
    "shares under 1": ["route add a a.com/ http://127.0.0.1:1/ weight 0.1",
                       "route add a a.com/ http://127.0.0.1:2/ weight 0.3"],
    "nothing left": ["route add a a.com/ http://127.0.0.1:1/ weight 1",
                     "route add a a.com/ http://127.0.0.1:2/"],
    "no share": ["route add a a.com/ http://127.0.0.1:1/ weight 0",
                 "route add b a.com/ http://127.0.0.1:2/ weight -1"],
    "a share taken back": ["route add a a.com/ http://127.0.0.1:1/ weight 0.5",
                           "route add a a.com/ http://127.0.0.1:2/",
                           "route weight a a.com/ weight 0"],
    "del of a service": ["route add a b.com/ http://127.0.0.1:1/",
                         "route add b a.com/ http://127.0.0.1:2/", "route del a"],
    "del of a source": ["route add a a.com/ http://127.0.0.1:1/",
                        "route add a b.com/ http://127.0.0.1:2/", "route del a b.com/"],
    "del of a destination": [
        "route add a a.com/ http://127.0.0.1:1/", "route add a a.com/ http://127.0.0.1:2/",
        "route del a a.com/ http://127.0.0.1:1/"],
    "del of a tag": ['route add a b.com/ http://127.0.0.1:1/ tags "x,y"',
                     'route add b b.com/ http://127.0.0.1:2/ tags "y"',
                     'route add b a.com/ http://127.0.0.1:3/ tags "z"', 'route del tags "y"'],
    "del of a service's tag": ['route add a b.com/ http://127.0.0.1:1/ tags "x,y"',
                               'route add b a.com/ http://127.0.0.1:2/ tags "y"',
                               'route del a tags "y"'],
    "del before add": ["route del a", "route add a a.com/ http://127.0.0.1:1/"],
    "comments and blanks": ["# c", "// d", "", "   ", "  route add a  a.com/ http://127.0.0.1:1/ "],
}


def test_commands(pair, consul):
    """Each table of commands is an override in the KV store; its mark says that it is in force."""
    both = pair()
    for number, (what, lines) in enumerate(COMMANDS.items()):
        mark = "mark%d.com/" % number
        text = "\n".join([*lines, "route add mark %s http://127.0.0.1:9/" % mark])
        consul.put("/v1/kv/fabio/config", text.encode())
        routes = agree(both, what, {"a.com/", mark})
        assert len(routes) > 1
        # As text, sluice puts a service's options in the order of the user.
        raw = [sorted(each.call("GET", "/api/routes?raw")[1].split("\n")) for each in both]
        raw = [[line for line in one if line] for one in raw]
        unused = [line for line in raw[1] if line not in raw[0]]
        assert [line for line in raw[0] if line not in raw[1]] == []
        assert len(unused) == (what == "nothing left"), unused


def register(consul, name, tags, statuses=("passing",), **more):
    consul.put("/v1/agent/service/register", {
        "Name": name, "Tags": tags, "Port": 4000, "Address": "127.0.0.1",
        "Checks": [{"CheckID": "%s:%d" % (more.get("ID", name), i), "Name": "c", "TTL": "1h",
                    "Status": status} for i, status in enumerate(statuses)], **more})


TAGS = ["urlprefix-UP.com/Foo", "urlprefix-dc-$DC.com/", "urlprefix-in.com/x$DC",
        "urlprefix-noslash.com", "urlprefix-/any", "urlprefix-own.com/ foo bar=baz",
        "urlprefix-*.glob.com/", "urlprefix-p.com:8080/", "urlprefix-t.com/ proto=tcp",
        "urlprefix-gr.com/ proto=grpc", "urlprefix-h.com/ proto=http", "urlprefix-w.com/ weight=2",
        "urlprefix-s.com/s strip=/s host=dst", "urlprefix-https.com/ proto=https",
        "urlprefix-:7777 proto=tcp", "urlprefix-r.com/ redirect=301,https://x.com$path",
        "urlprefix-acl.com/ allow=ip:10.0.0.0/8", "mine", "k=v"]
SOURCES = {"up.com/Foo", "dc-dc1.com/", "in.com/xdc1", "noslash.com/", "/any", "own.com/",
           "*.glob.com/", "p.com:8080/", "t.com/", "gr.com/", "h.com/", "w.com/", "s.com/s",
           "https.com/", ":7777", "r.com/", "acl.com/"}


def test_tags_and_what_becomes_of_them(pair, consul):
    register(consul, "all", TAGS)
    register(consul, "v6", ["urlprefix-v6.com/"], Address="::1")
    register(consul, "none", ["urlprefix-addressless.com/"], Address="")
    register(consul, "web", ["urlprefix-web.com/", "v1"], ID="web1")
    register(consul, "web", ["urlprefix-web.com/", "v2"], ID="web2", Port=4001)
    both = pair()
    first = SOURCES | {"v6.com/", "addressless.com/", "web.com/"}
    assert ("all", "own.com/", "http://127.0.0.1:4000", 1, ("mine", "k=v")) in agree(
        both, "at the start", first)

    def web(what, count):
        def there():
            return all(len([r for r in listed(e) if r[0] == "web"]) == count for e in both)
        until(there, what, 20)
        agree(both, what, first)
    consul.put("/v1/agent/service/maintenance/web2?enable=true")
    web("maintenance of an instance", 1)
    consul.put("/v1/agent/service/maintenance/web2?enable=false")
    web("its end", 2)
    consul.put("/v1/agent/check/fail/web1:0")
    web("a check that fails", 1)
    consul.put("/v1/agent/check/pass/web1:0")
    web("and passes", 2)
    consul.put("/v1/agent/service/deregister/web1")
    web("an instance that goes", 1)
    consul.put("/v1/agent/maintenance?enable=true")
    agree(both, "maintenance of the node", set())
    consul.put("/v1/agent/maintenance?enable=false")
    agree(both, "its end", first)
    consul.put("/v1/agent/service/deregister/all")
    agree(both, "a service that goes", first - SOURCES)


@pytest.mark.parametrize("status, required, wanted", [
    ("passing", "one", "pass passwarn passcrit"), ("passing", "all", "pass"),
    ("passing,warning", "one", "pass warn passwarn passcrit"),
    ("passing,warning", "all", "pass warn passwarn"),
    ("passing,warning,critical", "all", "pass warn crit passwarn passcrit")])
def test_which_checks_count(pair, consul, status, required, wanted):
    words = {"pass": "passing", "warn": "warning", "crit": "critical"}
    for name in ("pass", "warn", "crit", "passwarn", "passcrit", ""):
        register(consul, name or "unchecked", ["p-%s.com/" % name, "urlprefix-other.com/"],
                 [words[name[i:i + 4]] for i in range(0, len(name), 4)])
    both = pair(registry_consul_service_status=status, registry_consul_checksRequired=required,
                registry_consul_tagprefix="p-")
    agree(both, "at the start", {name + ".com/" for name in wanted.split()})


def test_the_admin_api(pair, consul):
    consul.put("/v1/kv/fabio/config", b"route add a a.com/ http://127.0.0.1:1/ weight 0.125")
    consul.put("/v1/kv/fabio/noroute.html", b"<p>nothing here</p>")
    both = pair()
    agree(both, "at the start", {"a.com/"})
    for path in ("/health", "/api/paths", "/api/manual", "/api/routes?raw"):
        answers = [each.call("GET", path) for each in both]
        assert answers[0][0] == answers[1][0] == 200, path
        assert answers[0][1].strip() == answers[1][1].strip(), path
    theirs, ours = ({k: v for k, v in each.get("/api/routes")[0].items()} for each in both)
    # The rates are of fabio's own metrics.
    assert set(theirs) - set(ours) == {"rate1", "pct99"}
    assert {k: ours[k] for k in theirs if k in ours} == {
        k: v for k, v in theirs.items() if k in ours}
    for each in both:
        assert '"' not in each.call("GET", "/api/version")[1]
        assert json.loads(each.call("GET", "/api/config")[1])
        assert each.call("DELETE", "/api/manual")[0] == 405
        assert each.call("PUT", "/api/manual")[0] == 400
    for number, each in enumerate(both):
        now = each.get("/api/manual")
        line = "\nroute add n n%d.com/ http://127.0.0.1:2/" % number
        wanted = {"value": now["value"] + line, "version": now["version"]}
        assert each.call("PUT", "/api/manual", wanted) == (200, "")
        assert each.call("PUT", "/api/manual", wanted)[0] == 409
        below = {"value": "route add m m%d.com/ http://127.0.0.1:3/" % number, "version": "0"}
        assert each.call("PUT", "/api/manual/sub%d" % number, below) == (200, "")
        assert each.get("/api/manual/sub%d" % number)["value"] == below["value"]
        until(lambda: [e.get("/api/manual")["value"] for e in both] == [wanted["value"]] * 2,
              "both read what %d wrote" % number, 20)
    agree(both, "after it", {"a.com/", "n0.com/", "n1.com/", "m0.com/", "m1.com/"})
    assert [sorted(e.get("/api/paths")) for e in both] == [["", "/sub0", "/sub1"]] * 2
