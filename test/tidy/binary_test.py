"""No process loads both BoringSSL and OpenSSL: symbols would resolve to one of them in silence."""

import re
import subprocess


def loaded(path):
    out = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^\s*(\S+) => (\S+)", out, re.M))


def test_sluice_loads_boringssl_and_not_openssl(root):
    libraries = loaded(root / "build" / "sluice")
    tls = {name: path for name, path in libraries.items()
           if name.startswith(("libssl", "libcrypto"))}
    assert all("/android/" in path for path in tls.values()), tls
    needed = subprocess.run(["readelf", "-d", str(root / "build" / "sluice")],
                            capture_output=True, text=True, check=True).stdout
    assert not re.search(r"NEEDED.*(libssl|libcrypto)\.so\.[1-9]", needed)
    assert not [name for name in libraries if re.match(r"lib(curl|gnutls|nss)", name)]


def test_the_demo_backend_loads_nothing(root):
    out = subprocess.run(["ldd", str(root / "build" / "bench" / "demo-backend")],
                         capture_output=True, text=True)
    assert "not a dynamic executable" in out.stdout + out.stderr or "statically" in out.stdout
