// An image's name, taken apart as Docker does: "bigwhite/httpbackendservice:v1.0.0" is repository
// "docker.io/bigwhite/httpbackendservice" with the tag "v1.0.0".
//
// Values. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace sluice::drivers {

struct ImageRef {
  std::string registry;    // "docker.io", "127.0.0.1:5000"
  std::string repository;  // "library/busybox"
  std::string tag;         // empty where only a digest is given
  std::string digest;      // "sha256:..."

  bool operator==(const ImageRef&) const = default;

  /// What /images/create takes as fromImage: the name without tag and digest, as short as it may
  /// be.
  std::string familiar_name() const;
  /// What /images/create takes as tag: the digest if there is one, else the tag.
  const std::string& pull_tag() const { return digest.empty() ? tag : digest; }
  /// The name for messages and /images/NAME/json.
  std::string text() const;
};

/// Without a tag and a digest the tag is "latest". kInvalid with the reason.
Result<ImageRef> parse_image_ref(std::string_view text);

}  // namespace sluice::drivers
