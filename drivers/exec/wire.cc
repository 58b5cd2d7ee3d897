#include "drivers/exec/wire.h"

#include <charconv>

#include "core/check.h"

namespace sluice::drivers::exec {
namespace {

constexpr size_t kFieldHeadBytes = 6;

void put_number(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

uint32_t get_number(std::string_view in, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= static_cast<uint32_t>(static_cast<unsigned char>(in[static_cast<size_t>(i)]))
             << (8 * i);
  }
  return value;
}

}  // namespace

Message& Message::add(std::string_view key, std::string_view value) {
  CHECK(!key.empty() && key.size() <= kMaxKeyBytes);
  fields_.emplace_back(key, value);
  return *this;
}

Message& Message::add(std::string_view key, int64_t value) {
  return add(key, std::string_view(std::to_string(value)));
}

std::string_view Message::get(std::string_view key) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) return value;
  }
  return {};
}

int64_t Message::get_int(std::string_view key, int64_t fallback) const {
  std::string_view text = get(key);
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return fallback;
  return value;
}

bool Message::has(std::string_view key) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) return true;
  }
  return false;
}

std::vector<std::string_view> Message::all(std::string_view key) const {
  std::vector<std::string_view> values;
  for (const auto& [name, value] : fields_) {
    if (name == key) values.push_back(value);
  }
  return values;
}

std::string Message::body() const {
  std::string out;
  for (const auto& [key, value] : fields_) {
    put_number(out, static_cast<uint32_t>(key.size()), 2);
    put_number(out, static_cast<uint32_t>(value.size()), 4);
    out += key;
    out += value;
  }
  return out;
}

std::string Message::frame() const {
  std::string fields = body();
  std::string out;
  out.reserve(kFrameHeadBytes + fields.size());
  put_number(out, static_cast<uint32_t>(fields.size()), 4);
  out += fields;
  return out;
}

Result<Message> Message::parse(std::string_view body) {
  Message message;
  while (!body.empty()) {
    if (body.size() < kFieldHeadBytes) return fail(Code::kInvalid, "message ends inside a field");
    size_t key_bytes = get_number(body, 2);
    size_t value_bytes = get_number(body.substr(2), 4);
    body.remove_prefix(kFieldHeadBytes);
    if (key_bytes == 0 || key_bytes > kMaxKeyBytes) {
      return fail(Code::kLimit, "message field's name of {} bytes (1 to {})", key_bytes,
                  kMaxKeyBytes);
    }
    if (key_bytes > body.size() || value_bytes > body.size() - key_bytes) {
      return fail(Code::kInvalid, "message ends inside a field");
    }
    if (message.fields_.size() == kMaxFields) {
      return fail(Code::kLimit, "message of more than {} fields", kMaxFields);
    }
    message.fields_.emplace_back(body.substr(0, key_bytes), body.substr(key_bytes, value_bytes));
    body.remove_prefix(key_bytes + value_bytes);
  }
  return message;
}

Result<std::optional<size_t>> frame_bytes(std::string_view buffer, size_t max_body_bytes) {
  if (buffer.size() < kFrameHeadBytes) return std::optional<size_t>();
  size_t body_bytes = get_number(buffer, 4);
  if (body_bytes > max_body_bytes) {
    return fail(Code::kLimit, "frame of {} bytes, more than {}", body_bytes, max_body_bytes);
  }
  return std::optional<size_t>(kFrameHeadBytes + body_bytes);
}

Message error_reply(const Error& error) {
  return Message().add("error", to_string(error.code)).add("message", error.message);
}

std::optional<Error> reply_error(const Message& reply) {
  if (!reply.has("error")) return std::nullopt;
  std::string_view name = reply.get("error");
  Error error{Code::kInternal, std::string(reply.get("message"))};
  for (Code code : {Code::kInvalid, Code::kNotFound, Code::kConflict, Code::kDenied, Code::kLimit,
                    Code::kTimeout, Code::kUnavailable, Code::kClosed, Code::kIo,
                    Code::kUnsupported, Code::kInternal}) {
    if (to_string(code) == name) error.code = code;
  }
  return error;
}

}  // namespace sluice::drivers::exec
