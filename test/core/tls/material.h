// Certificates for tests, made by the `openssl` command when they are asked for; none is kept.
//
// Owner: a test. Each call runs the command, some 20 ms.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/tls/certificate.h"

namespace sluice::tls::test {

/// A folder that goes with its owner.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;
  void remove(const std::string& name) const;

 private:
  std::string path_;
};

struct PemPair {
  std::string certificate;
  std::string key;
  std::string both() const { return certificate + key; }
  std::shared_ptr<const Certificate> load() const;
};

struct Wish {
  std::vector<std::string> names;  // DNS names and IP addresses; the first is the common name too
  bool rsa = false;
  int days = 1;  // negative: expired
};

class Authority {
 public:
  Authority();
  PemPair issue(const Wish& wish) const;
  const std::string& pem() const { return pem_; }
  std::shared_ptr<const Authorities> load() const;

 private:
  Folder folder_;
  std::string pem_;
};

/// Made once for the whole run, for tests that only need one.
const Authority& any_authority();
const PemPair& any_pair();  // for a.test, *.b.test and 127.0.0.1, of any_authority()

}  // namespace sluice::tls::test
