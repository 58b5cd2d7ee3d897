"""The demo backend answers what the users' own services answer."""

import subprocess

from helpers import tree


def test_greetings_over_http_and_https(backend, curl):
    b = backend("-name", "shop", "-version", "v2")
    assert curl(b.http_url).body == "this is shop, version: v2\n"
    assert curl(b.https_url, "-k").body == "this is shop, version: v2\n"


def test_default_greetings_are_those_of_the_jobs(backend, curl):
    b = backend()
    assert curl(b.http_url).body == "this is httpbackendservice, version: v1.0.0\n"
    assert curl(b.https_url, "-k").body == "this is httpsbackendservice, version: v1.0.0\n"


def test_a_request_in_flight_is_answered_after_sigterm(backend, curl):
    b = backend()
    slow = curl.start(b.http_url + "sleep/400")
    curl.until(lambda: "open 2" in curl(b.http_url + "stats").body, "the slow request is there")
    b.process.terminate()
    assert slow.result().body == "this is httpbackendservice, version: v1.0.0\n"
    assert b.process.wait(10) == 0


def test_numbered_lines_then_the_exit_code():
    out = subprocess.run([tree.backend, "-http", "off", "-https", "off", "-lines", "3",
                          "-exit", "7"], capture_output=True, text=True, timeout=10)
    assert (out.stdout, out.returncode) == ("line 1\nline 2\nline 3\n", 7)
