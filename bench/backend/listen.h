// What the demo backend listens on, and the TLS of its second listener.
#pragma once

#include <string>

namespace backend {

/// [HOST]:PORT, where PORT `env` is NOMAD_PORT_<label>, and `env` alone is `:env`; `off`: nowhere.
void listen_on(std::string spec, const char* label, bool tls);
/// By the certificate of the flags, or one that lives as long as the process.
void set_up_tls();

}  // namespace backend
