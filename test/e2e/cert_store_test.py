"""Certificate stores: what they show, how they change at run time, and what a bad one does not."""

import shutil
import subprocess

import pytest
from helpers.certificates import Authority
from helpers.tls_site import Site
from helpers.wait import until

REFRESH = "refresh=100ms"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def put(pair, folder, stem, together=False):
    folder.mkdir(parents=True, exist_ok=True)
    if together:
        (folder / (stem + ".pem")).write_text(pair.pem())
    else:
        shutil.copy(pair.cert, folder / (stem + "-cert.pem"))
        shutil.copy(pair.key, folder / (stem + "-key.pem"))


def test_a_path_store_follows_its_folder_and_open_connections_go_on(lb, backend, ca, curl,
                                                                    tmp_path):
    folder = tmp_path / "certs"
    put(ca.issue(["a.test"]), folder, "a")
    put(ca.issue(["deep.test"]), folder / "below", "b", together=True)
    (folder / "notes.txt").write_text("not for us")
    site = Site(lb, backend, "cs=main;type=path;cert=%s;%s" % (folder, REFRESH))
    site.lb.start()
    assert [site.shown(n) for n in ("a.test", "deep.test", "new.test")] == \
        ["a.test", "deep.test", "a.test"]
    # A response that is under way, and a session, from before the change.
    ticket = tmp_path / "session"
    under_way = curl.start("-k", "https://127.0.0.1:%d/drip/30/100" % site.port)
    subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % site.port, "-servername",
                    "a.test", "-ign_eof", "-sess_out", ticket],
                   input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=20)
    put(ca.issue(["new.test"]), folder, "c")
    site.until_shown("new.test", "new.test")
    (folder / "below" / "b.pem").unlink()
    site.until_shown("deep.test", "a.test")
    again = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % site.port,
                            "-servername", "a.test", "-sess_in", ticket],
                           input=b"Q\n", capture_output=True, timeout=20)
    assert b"\nReused, TLS" in again.stdout
    answer = under_way.result()
    assert (answer.status, answer.body.count("\n")) == (200, 30)


def test_one_bad_certificate_blocks_no_other_and_is_told_once(lb, backend, ca, tmp_path):
    folder = tmp_path / "certs"
    put(ca.issue(["good.test"]), folder, "good")
    put(ca.issue(["a.test"]), folder, "a")
    (folder / "a-key.pem").write_text(ca.issue(["x"]).key.read_text())
    (folder / "lone-cert.pem").write_text(ca.issue(["lone.test"]).cert.read_text())
    site = Site(lb, backend, "cs=main;type=path;cert=%s;%s" % (folder, REFRESH))
    site.lb.start()
    assert site.shown("a.test") == "good.test"
    wrong = "a-cert.pem is left out: the private key is not the certificate's"
    lone = "lone-cert.pem is left out: there is no %s" % (folder / "lone-key.pem")
    put(ca.issue(["more.test"]), folder, "more")
    site.until_shown("more.test", "more.test")
    assert [site.lb.err().count(text) for text in (wrong, lone)] == [1, 1]
    # One that was good stays while its file is bad.
    (folder / "more-cert.pem").write_text("nothing")
    site.until_said("more-cert.pem is left out: no certificate in it")
    assert site.shown("more.test") == "more.test"


def test_a_store_that_fails_keeps_what_it_gave(lb, backend, ca, tmp_path):
    first, second = ca.issue(["one.test"]), ca.issue(["two.test"])
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def copy(pair):
        shutil.copy(pair.key, key)
        shutil.copy(pair.cert, cert)
    copy(first)
    site = Site(lb, backend, "cs=main;type=file;cert=%s;key=%s;%s" % (cert, key, REFRESH))
    site.lb.start()
    cert.unlink()
    site.until_said("what it gave before stays")
    assert site.shown("x") == "one.test"
    copy(second)
    site.until_shown("x", "two.test")
    assert site.lb.err().count("what it gave before stays") == 1


def test_a_new_client_authority_counts_at_once_and_old_sessions_do_not(lb, backend, ca, tmp_path):
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    file, pair = tmp_path / "clients.pem", ca.issue(["a.test"])
    shutil.copy(old.file, file)
    site = Site(lb, backend, "cs=main;type=file;cert=%s;key=%s;clientca=%s;%s"
                % (pair.cert, pair.key, file, REFRESH))
    site.lb.start()
    ticket = tmp_path / "session"

    def fetch(*arguments):
        return subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % site.port, "-ign_eof",
             *map(str, arguments)], input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True,
            timeout=20).stdout

    def as_client(authority):
        client = authority.issue(["client"])
        return ["-cert", client.cert, "-key", client.key]
    assert b"200 OK" in fetch(*as_client(old), "-sess_out", ticket)
    assert b"200 OK" in fetch("-sess_in", ticket)
    assert b"200 OK" not in fetch(*as_client(new))
    shutil.copy(new.file, file)
    until(lambda: b"200 OK" in fetch(*as_client(new)), "the new authority counts")
    assert b"200 OK" not in fetch("-sess_in", ticket)
    assert b"200 OK" not in fetch(*as_client(old))
    # One that cannot be read changes nothing: no client comes in without a certificate.
    file.write_text("")
    site.until_said("no certificate in it")
    assert b"200 OK" in fetch(*as_client(new))
    assert b"200 OK" not in fetch()


def test_what_is_wrong_is_refused_at_the_start_with_its_name(lb, backend, ca, tmp_path):
    pair = ca.issue(["a.test"])
    good = "cs=main;type=file;cert=%s;key=%s" % (pair.cert, pair.key)
    other = "cs=other;type=file;cert=%s;key=%s;clientca=%s" % (pair.cert, pair.key, ca.file)
    (tmp_path / "empty").mkdir()
    for stores, listener, reason in (
            (good, "cs=none", "there is no certificate store none"),
            (good + "," + good, "cs=main", "certificate store main is there twice"),
            (good + "," + other, "cs=main+other", "do not have the same clientca"),
            ("cs=main;type=file;cert=/nowhere.pem", "cs=main", "/nowhere.pem: No such file"),
            ("cs=main;type=file;cert=%s" % pair.cert, "cs=main", "no private key"),
            ("cs=main;type=path;cert=%s" % (tmp_path / "empty"), "cs=main", "holds no *.pem"),
            ("cs=main;type=ftp;cert=x", "cs=main", "ftp is none of file, path"),
            ("cs=main;type=vault-pki;cert=x", "cs=main", "vault-pki is not supported"),
            ("cs=main;type=file", "cs=main", "it wants cert="),
            ("cs=main;type=file;cert=x;colour=red", "cs=main", "colour: unknown option"),
            (good, "cs=main;tlsciphers=NONE", "cipher NONE is not known"),
            (good, "proto=tcp+sni;cs=main", "proto=tcp+sni takes no cs")):
        site = Site(lb, backend, stores, listener)
        process = site.lb.launch().process
        assert process.wait() == 1, stores
        assert reason in process.err(), process.err()
