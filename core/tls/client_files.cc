#include "core/tls/client_files.h"

#include <string_view>

#include "core/tls/trust.h"

namespace sluice::tls {

namespace {

constexpr size_t kMaxFolderFiles = 1000;

bool is_certificate_file(std::string_view name) {
  return name.ends_with(".pem") || name.ends_with(".crt") || name.ends_with(".cer");
}

Result<std::shared_ptr<const Authorities>> authorities_of(Disk& disk, const ClientFiles& files) {
  if (files.ca_folder.empty()) return system_authorities(disk, files.ca_file);
  std::string pem;
  if (!files.ca_file.empty()) {
    Result<std::string> text = disk.read_file(files.ca_file, kMaxPemBytes);
    if (!text) return pass(text);
    pem = *std::move(text) + "\n";
  }
  Result<std::vector<std::string>> names = disk.list(files.ca_folder);
  if (!names) return pass(names, "{}", files.ca_folder);
  size_t read = 0;
  for (const std::string& name : *names) {
    if (!is_certificate_file(name)) continue;
    if (++read > kMaxFolderFiles) {
      return fail(Code::kLimit, "{}: more than {} files", files.ca_folder, kMaxFolderFiles);
    }
    const std::string path = files.ca_folder + "/" + name;
    Result<std::string> text = disk.read_file(path, kMaxPemBytes);
    if (!text) return pass(text);
    auto good = Authorities::load(*text);
    if (!good) return pass(good, "{}", path);
    pem += *text + "\n";
  }
  auto loaded = Authorities::load(pem);
  if (!loaded) return pass(loaded, "{}", files.ca_folder);
  return loaded;
}

}  // namespace

Result<std::shared_ptr<const ClientContext>> load_client(Disk& disk, const ClientFiles& files) {
  auto authorities = authorities_of(disk, files);
  if (!authorities) return pass(authorities);
  if (files.certificate_file.empty()) {
    if (files.key_file.empty()) return ClientContext::make(*std::move(authorities));
    return fail(Code::kInvalid, "{}: a key without a certificate", files.key_file);
  }
  Result<std::string> certificate = disk.read_file(files.certificate_file, kMaxPemBytes);
  if (!certificate) return pass(certificate);
  Result<std::string> key = *certificate;
  if (!files.key_file.empty()) key = disk.read_file(files.key_file, kMaxPemBytes);
  if (!key) return pass(key);
  auto own = Certificate::load(*certificate, *key);
  if (!own) return pass(own, "{}", files.certificate_file);
  return ClientContext::make(*std::move(authorities), *std::move(own));
}

}  // namespace sluice::tls
