#include "proxy/cert_source.h"

#include "core/disk.h"
#include "core/scope.h"

namespace sluice::proxy {

namespace {

class FileSource final : public CertSource {
 public:
  FileSource(const CertStoreSpec& spec, Executor& executor) : spec_(spec), executor_(executor) {}
  Task<Result<CertMaterial>> load() override {
    co_return co_await on_pool(executor_, [spec = spec_] {
      PosixDisk disk;
      return read_cert_files(spec, disk);
    });
  }

 private:
  const CertStoreSpec spec_;
  Executor& executor_;
};

}  // namespace

Result<std::unique_ptr<CertSource>> make_cert_source(const CertStoreSpec& spec,
                                                     const CertReach& reach) {
  switch (spec.type) {
    case CertStoreType::kFile:
    case CertStoreType::kPath: return std::make_unique<FileSource>(spec, reach.executor);
    case CertStoreType::kHttp: return make_http_source(spec, reach);
    case CertStoreType::kConsul: return make_consul_source(spec, reach);
    case CertStoreType::kVault: return make_vault_source(spec, reach);
  }
  return fail(Code::kInternal, "no such type");
}

}  // namespace sluice::proxy
