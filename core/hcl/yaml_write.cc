// Writing YAML, on libyaml's events.
#include <yaml.h>

#include "core/hcl/yaml_document.h"

namespace sluice::hcl {

struct YamlEmitter::Parts {
  Parts() {
    yaml_emitter_initialize(&emitter);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_output(&emitter, append, &out);
  }
  ~Parts() { yaml_emitter_delete(&emitter); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  static int append(void* out, unsigned char* bytes, size_t size) {
    static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(bytes), size);
    return 1;
  }

  bool emit(yaml_event_t& event) {
    if (good) {
      good = yaml_emitter_emit(&emitter, &event) == 1;
    } else {
      yaml_event_delete(&event);
    }
    return good;
  }

  yaml_emitter_t emitter{};
  std::string out;
  bool good = true;
};

YamlEmitter::YamlEmitter() : parts_(std::make_unique<Parts>()) {
  yaml_event_t event;
  yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
  parts_->emit(event);
  yaml_document_start_event_initialize(&event, nullptr, nullptr, nullptr, 1);
  parts_->emit(event);
}

YamlEmitter::~YamlEmitter() = default;

bool YamlEmitter::begin_sequence() {
  yaml_event_t event;
  yaml_sequence_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_SEQUENCE_STYLE);
  return parts_->emit(event);
}

bool YamlEmitter::end_sequence() {
  yaml_event_t event;
  yaml_sequence_end_event_initialize(&event);
  return parts_->emit(event);
}

bool YamlEmitter::begin_mapping() {
  yaml_event_t event;
  yaml_mapping_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_MAPPING_STYLE);
  return parts_->emit(event);
}

bool YamlEmitter::end_mapping() {
  yaml_event_t event;
  yaml_mapping_end_event_initialize(&event);
  return parts_->emit(event);
}

bool YamlEmitter::scalar(std::string_view text, YamlStyle style) {
  constexpr yaml_scalar_style_t kStyles[] = {
      YAML_PLAIN_SCALAR_STYLE, YAML_DOUBLE_QUOTED_SCALAR_STYLE, YAML_LITERAL_SCALAR_STYLE};
  yaml_event_t event;
  // It checks that the text is UTF-8.
  if (yaml_scalar_event_initialize(
          &event, nullptr, nullptr, reinterpret_cast<const yaml_char_t*>(text.data()),
          static_cast<int>(text.size()), 1, 1, kStyles[static_cast<size_t>(style)]) != 1) {
    parts_->good = false;
    return false;
  }
  return parts_->emit(event);
}

Result<std::string> YamlEmitter::finish() {
  yaml_event_t event;
  yaml_document_end_event_initialize(&event, 1);
  parts_->emit(event);
  yaml_stream_end_event_initialize(&event);
  parts_->emit(event);
  if (!parts_->good) {
    const char* problem = parts_->emitter.problem;
    return fail(Code::kInvalid, "{}", problem ? problem : "cannot be written");
  }
  return std::move(parts_->out);
}

}  // namespace sluice::hcl
