#include "core/hcl/functions.h"

#include "core/hcl/functions_impl.h"

namespace sluice::hcl {

const FunctionTable& standard_functions() {
  static const FunctionTable table([] {
    std::vector<Function> all;
    add_collection_functions(all);
    add_set_functions(all);
    add_number_functions(all);
    add_string_functions(all);
    add_format_functions(all);
    add_date_functions(all);
    add_encoding_functions(all);
    add_json_functions(all);
    add_network_functions(all);
    add_crypto_functions(all);
    add_regex_functions(all);
    add_file_functions(all);
    add_yaml_functions(all);
    return all;
  }());
  return table;
}

}  // namespace sluice::hcl
