#include "bench/backend/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "bench/backend/state.h"
#include "bench/backend/text.h"

namespace backend {

namespace {

// A certificate that lives as long as the process, for cert_name and 127.0.0.1.
void make_certificate() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), static_cast<long>(time(nullptr)));
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 10L * 365 * 24 * 3600);
  X509_set_pubkey(x, key);
  X509_NAME* subject = X509_get_subject_name(x);
  auto* text = reinterpret_cast<const unsigned char*>(flags.cert_name.c_str());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
  X509_set_issuer_name(x, subject);
  std::string names = "DNS:" + flags.cert_name + ",IP:127.0.0.1";
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
  if (!extension) die("-cert-name is not a name: " + flags.cert_name);
  X509_add_ext(x, extension, -1);
  X509_sign(x, key, EVP_sha256());
  SSL_CTX_use_certificate(tls_context, x);
  SSL_CTX_use_PrivateKey(tls_context, key);
  X509_EXTENSION_free(extension);
  X509_free(x);
  EVP_PKEY_free(key);
}

}  // namespace

void set_up_tls() {
  tls_context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_id_context(tls_context, reinterpret_cast<const unsigned char*>("b"), 1);
  if (flags.cert.empty()) return make_certificate();
  const std::string& key = flags.key.empty() ? flags.cert : flags.key;
  if (SSL_CTX_use_certificate_chain_file(tls_context, flags.cert.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls_context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    die("cannot use certificate " + flags.cert + " with key " + key);
}

void listen_on(std::string spec, const char* label, bool tls) {
  if (spec.empty() || spec == "off") return;
  if (spec == "env") spec = ":env";
  size_t colon = spec.rfind(':');
  if (colon == spec.npos) die("-" + std::string(label) + " wants [HOST]:PORT, env or off");
  std::string host = spec.substr(0, colon), port = spec.substr(colon + 1);
  if (port == "env") {
    const char* value = getenv((std::string("NOMAD_PORT_") + label).c_str());
    if (!value) die(std::string("NOMAD_PORT_") + label + " is not set");
    port = value;
  }
  if (host == "localhost") host = "127.0.0.1";
  if (host.starts_with("[")) host = host.substr(1, host.size() - 2);
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  four.sin_family = AF_INET;
  six.sin6_port = four.sin_port = htons(static_cast<uint16_t>(number(port)));
  bool is_six = host.find(':') != host.npos;
  if (!host.empty() && inet_pton(is_six ? AF_INET6 : AF_INET, host.c_str(),
                                 is_six ? static_cast<void*>(&six.sin6_addr) : &four.sin_addr) != 1)
    die("not an address: " + host);
  int fd = -1, on = 1, off = 0;
  if (is_six || host.empty()) fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  is_six = fd >= 0;  // a machine without IPv6 gets all of IPv4
  if (fd < 0) fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  sockaddr* address =
      is_six ? reinterpret_cast<sockaddr*>(&six) : reinterpret_cast<sockaddr*>(&four);
  socklen_t length = is_six ? sizeof six : sizeof four;
  if (bind(fd, address, length) != 0 || listen(fd, 4096) != 0)
    die("cannot listen on " + spec + ": " + strerror(errno));
  getsockname(fd, address, &length);
  fprintf(stderr, "backend: %s on port %d\n", label, ntohs(is_six ? six.sin6_port : four.sin_port));
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = static_cast<uint32_t>(fd);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
  listeners.push_back({fd, tls});
}

}  // namespace backend
