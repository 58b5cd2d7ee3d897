#include "test/core/tls/material.h"

#include <stdlib.h>
#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <filesystem>

#include "core/check.h"
#include "core/disk.h"

namespace sluice::tls::test {

namespace {

void run(const std::string& command) {
  const std::string quiet = command + " >/dev/null 2>&1";
  CHECK(std::system(quiet.c_str()) == 0);
}

bool is_address(const std::string& name) {
  return name.find_first_not_of("0123456789.") == std::string::npos ||
         name.find(':') != std::string::npos;
}

}  // namespace

Folder::Folder() {
  std::string made = (std::filesystem::temp_directory_path() / "slt-XXXXXX").string();
  CHECK(mkdtemp(made.data()) != nullptr);
  path_ = made;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void Folder::write(const std::string& name, const std::string& text) const {
  std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
  PosixDisk disk;
  CHECK(disk.write_file(path(name), text, 0600).has_value());
}

std::string Folder::read(const std::string& name) const {
  PosixDisk disk;
  Result<std::string> text = disk.read_file(path(name), 1 << 20);
  CHECK(text.has_value());
  return *text;
}

void Folder::remove(const std::string& name) const {
  std::filesystem::remove_all(path(name));
}

std::shared_ptr<const Certificate> PemPair::load() const {
  auto made = Certificate::load(certificate, key);
  CHECK(made.has_value());
  return *made;
}

Authority::Authority() {
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
      "'/CN=test "
      "CA' -addext keyUsage=critical,keyCertSign -keyout " +
      folder_.path("ca.key") + " -out " + folder_.path("ca.pem"));
  pem_ = folder_.read("ca.pem");
}

PemPair Authority::issue(const Wish& wish) const {
  std::string names;
  for (const std::string& name : wish.names) {
    names += (names.empty() ? "subjectAltName=" : ",");
    names += (is_address(name) ? "IP:" : "DNS:") + name;
  }
  folder_.write("extensions", names + "\n");
  const std::string kind = wish.rsa ? "rsa:2048" : "ec -pkeyopt ec_paramgen_curve:P-256";
  run("openssl req -new -newkey " + kind + " -nodes -subj '/CN=" + wish.names.front() +
      "' -keyout " + folder_.path("key") + " -out " + folder_.path("request"));
  run("openssl x509 -req -in " + folder_.path("request") + " -CA " + folder_.path("ca.pem") +
      " -CAkey " + folder_.path("ca.key") + " -set_serial 7 -days " + std::to_string(wish.days) +
      " -extfile " + folder_.path("extensions") + " -out " + folder_.path("certificate"));
  return {folder_.read("certificate"), folder_.read("key")};
}

std::shared_ptr<const Authorities> Authority::load() const {
  auto made = Authorities::load(pem_);
  CHECK(made.has_value());
  return *made;
}

const Authority& any_authority() {
  static const Authority authority;
  return authority;
}

const PemPair& any_pair() {
  static const PemPair pair = any_authority().issue({.names = {"a.test", "*.b.test", "127.0.0.1"}});
  return pair;
}

}  // namespace sluice::tls::test
