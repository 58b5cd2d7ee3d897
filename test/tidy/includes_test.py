"""Who may include whom, and the one door of each third-party header."""

import re

from rules import report

FOLDERS = ("app", "core", "proxy", "orchestrator", "drivers", "bench", "test")

# What the orchestrator owns and the drivers implement: nothing else of it is theirs to see.
INTERFACES = {"orchestrator/driver.h", "orchestrator/catalog.h", "orchestrator/store.h"}

# What the orchestrator sees of the data plane: the sources of route_edit_lib in proxy/meson.build.
ROUTE_EDIT = {"proxy/route_edit.h", "proxy/tag.h"}


def allowed(path, include):
    folder, target = path.split("/")[0], include.split("/")[0]
    if folder == "core":
        return target == "core"
    if folder == "proxy":
        return target in ("core", "proxy")
    if folder == "orchestrator":
        return target in ("core", "orchestrator") or include in ROUTE_EDIT
    if folder == "drivers":
        return target == "core" or include in INTERFACES or (
            target == "drivers" and include.split("/")[1] == path.split("/")[1])
    return True  # app, main.cc, bench, test


def test_folders_include_only_what_the_table_allows(cpp):
    report(["%s:%d: includes %s" % (s.path, n, i) for s in cpp for n, i in s.includes
            if i.split("/")[0] in FOLDERS and not allowed(s.path, i)])


def test_the_rule_catches():
    assert not allowed("core/x.cc", "proxy/route_edit.h")
    assert not allowed("orchestrator/x.cc", "proxy/pool.h")
    assert not allowed("drivers/docker/x.cc", "orchestrator/state.h")
    assert not allowed("drivers/docker/x.cc", "drivers/consul/client.h")
    assert not allowed("proxy/x.cc", "app/balancer.h")
    assert allowed("orchestrator/x.cc", "proxy/route_edit.h")


# Programs that link OpenSSL and nothing of ours: the other ends of the comparison.
OPENSSL = r"bench/(backend/|load/|(ws_echo|crypto)\.cc$)"

DOORS = [  # header, files that may include it
    (r"uv\.h$", r"core/|test/core/"),
    (r"llhttp\.h$", r"core/http1|test/core/http1"),
    (r"openssl/", r"core/tls|core/digest|proxy/client_hello|test/core/tls|"
                  r"test/proxy/client_hello|bench/micro\.cc|" + OPENSSL),
    (r"arpa/nameser|resolv\.h$", r"drivers/embedded/dns_message"),
    (r"crypt\.h$", r"core/digest|core/password"),
    (r"re2/", r"core/(hcl/functions_)?regex"),
    (r"yaml\.h$", r"core/hcl/yaml_(read|write)\.cc$"),
    (r"ares\.h$", r"core/dns\.cc$"),
    (r"zlib\.h$", r"core/gzip|test/gunzip"),
    (r"simdjson", r"core/json|test/core/json"),
    (r"sqlite3\.h$", r"drivers/sqlite/|test/drivers/"),
]


def test_third_party_headers_stay_behind_their_door(cpp):
    report(["%s:%d: includes %s" % (s.path, n, i) for s in cpp for n, i in s.includes
            for header, door in DOORS if re.match(header, i) and not re.match(door, s.path)])


# Two doors: the proxy's, and the one by which a task's output gets into its log file without a byte
# lost or doubled when the supervisor is killed.
SPLICE = r"proxy/splice|drivers/exec/log_files\.cc$|bench/|test/"


def test_splice_stays_in_its_files(cpp):
    report(["%s: calls splice(2)" % s.path for s in cpp
            if re.search(r"\bSPLICE_F_|(?<!\w)::splice\s*\(", s.code)
            and not re.match(SPLICE, s.path)])


def test_boringssl_users_refuse_openssl(cpp):
    report(["%s: wants #ifndef OPENSSL_IS_BORINGSSL, #error" % s.path for s in cpp
            if any(i.startswith("openssl/") for _, i in s.includes)
            and not re.match(OPENSSL, s.path) and "OPENSSL_IS_BORINGSSL" not in s.text])


# Time, randomness and the loop come in through core's interfaces: simulation replaces them. The
# supervisor is a program of its own, outside the simulation, with one door to the clock, which no
# library of sluice's links.
SUPERVISOR_CLOCK = "drivers/exec/supervisor_clock.cc"
IMPURE = re.compile(
    r"\b(system_clock|steady_clock|high_resolution_clock|random_device|clock_gettime|gettimeofday|"
    r"getrandom|RAND_bytes)\b|(?<![\w.>:])(?:std::|::)?(time|rand|random|srand)\s*\(|"
    r"\b(uv_\w+)\s*\(")


def test_no_clock_randomness_or_uv_outside_core(cpp):
    wrong = []
    for s in cpp:
        if s.folder not in ("proxy", "orchestrator", "drivers") or s.path == SUPERVISOR_CLOCK:
            continue
        for n, line in enumerate(s.code.split("\n"), 1):
            match = IMPURE.search(line)
            # A declaration or a lambda of that name is not a call of the C library's.
            if match and not re.search(r"\b(int64_t|auto|double|void)\s+%s\s*\(" % re.escape(
                    match.group(2) or "~"), line):
                wrong.append("%s:%d: %s" % (s.path, n, match.group(0)))
    report(wrong)
