#include "proxy/cert_material.h"

#include <utility>

namespace sluice::proxy {

namespace {

constexpr std::string_view kPem = ".pem";
constexpr std::string_view kCertPem = "-cert.pem";
constexpr std::string_view kKeyPem = "-key.pem";

std::string replace_end(const std::string& name, std::string_view end, std::string_view with) {
  return name.substr(0, name.size() - end.size()) + std::string(with);
}

struct Folder {
  std::map<std::string, std::string> texts;
  std::vector<RejectedCert> rejected;
};

/// All x.pem under it. What begins with a dot is somebody else's.
Result<void> read_folder(const std::string& path, Disk& disk, const CertLimits& limits,
                         size_t depth, Folder& out) {
  if (depth > limits.depth) {
    return fail(Code::kLimit, "{}: folders are more than {} deep", path, limits.depth);
  }
  Result<std::vector<std::string>> names = disk.list(path);
  if (!names) return pass(names);
  for (const std::string& name : *names) {
    if (name.starts_with('.')) continue;
    const std::string whole = path.ends_with('/') ? path + name : path + "/" + name;
    if (!name.ends_with(kPem)) {
      // Not a folder: not for us.
      Result<void> inner = read_folder(whole, disk, limits, depth + 1, out);
      if (!inner && inner.error().code == Code::kLimit) return inner;
      continue;
    }
    if (out.texts.size() >= limits.files) {
      return fail(Code::kLimit, "{}: more than {} files", path, limits.files);
    }
    Result<std::string> text = disk.read_file(whole, tls::kMaxPemBytes);
    if (text) {
      out.texts.emplace(whole, std::move(*text));
    } else {
      out.rejected.push_back({whole, text.error().message});
    }
  }
  return {};
}

/// A file, or every x.pem of a folder.
Result<std::string> read_client_ca(const std::string& path, Disk& disk, const CertLimits& limits) {
  if (!disk.list(path)) return disk.read_file(path, tls::kMaxPemBytes);
  Folder folder;
  Result<void> read = read_folder(path, disk, limits, 0, folder);
  if (!read) return pass(read);
  if (!folder.rejected.empty()) return fail(Code::kIo, "{}", folder.rejected.front().reason);
  std::string all;
  for (const auto& [name, text] : folder.texts) all += text + "\n";
  return all;
}

}  // namespace

CertMaterial pair_up(const std::map<std::string, std::string>& texts) {
  CertMaterial material;
  for (const auto& [name, text] : texts) {
    if (name.ends_with(kCertPem)) {
      const std::string key_name = replace_end(name, kCertPem, kKeyPem);
      const auto key = texts.find(key_name);
      if (key == texts.end()) {
        material.rejected.push_back({name, "there is no " + key_name});
      } else {
        material.pairs.push_back({name, text, key->second});
      }
    } else if (name.ends_with(kKeyPem)) {
      const std::string cert_name = replace_end(name, kKeyPem, kCertPem);
      if (!texts.contains(cert_name))
        material.rejected.push_back({name, "there is no " + cert_name});
    } else if (name.ends_with(kPem)) {
      material.pairs.push_back({name, text, text});
    }
  }
  return material;
}

Result<CertMaterial> read_cert_files(const CertStoreSpec& spec, Disk& disk,
                                     const CertLimits& limits) {
  CertMaterial material;
  if (spec.type == CertStoreType::kFile) {
    Result<std::string> certificate = disk.read_file(spec.cert, tls::kMaxPemBytes);
    if (!certificate) return pass(certificate);
    Result<std::string> key =
        spec.key.empty() ? *certificate : disk.read_file(spec.key, tls::kMaxPemBytes);
    if (!key) return pass(key);
    material.pairs.push_back({spec.cert, std::move(*certificate), std::move(*key)});
  } else {
    Folder folder;
    Result<void> read = read_folder(spec.cert, disk, limits, 0, folder);
    if (!read) return pass(read);
    material = pair_up(folder.texts);
    for (RejectedCert& rejected : folder.rejected) material.rejected.push_back(std::move(rejected));
  }
  if (!spec.client_ca.empty()) {
    Result<std::string> clients = read_client_ca(spec.client_ca, disk, limits);
    if (!clients) return pass(clients, "clientca");
    material.client_ca = std::move(*clients);
  }
  return material;
}

CertStock make_stock(const CertStoreSpec& spec, const CertMaterial& material,
                     const CertStock& before) {
  CertStock stock;
  stock.rejected = material.rejected;
  const auto keep = [&](const std::string& name) {
    const auto old = before.certificates.find(name);
    if (old != before.certificates.end()) stock.certificates.insert(*old);
  };
  for (const CertMaterial::Pair& pair : material.pairs) {
    auto made = tls::Certificate::load(pair.certificate, pair.key);
    if (made) {
      stock.certificates.emplace(pair.name, std::move(*made));
    } else {
      stock.rejected.push_back({pair.name, made.error().message});
      keep(pair.name);
    }
  }
  for (const RejectedCert& rejected : material.rejected) keep(rejected.name);
  if (!spec.client_ca.empty()) {
    auto clients = tls::Authorities::load(material.client_ca);
    if (clients) {
      stock.clients = std::move(*clients);
    } else {
      stock.rejected.push_back({spec.client_ca, clients.error().message});
      stock.clients = before.clients;
    }
  }
  return stock;
}

}  // namespace sluice::proxy
