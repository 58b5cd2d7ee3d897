// Credentials for registries: what the task, Docker's config file and helpers say, and what is made
// of it.
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "core/base64.h"
#include "core/loop.h"
#include "core/scope.h"
#include "drivers/docker/credentials.h"
#include "test/drivers/run_to_end.h"
#include "test/drivers/temporary_folder.h"
#include "test/test.h"

namespace sluice::drivers {
namespace {

ImageRef ref(const std::string& image) {
  return *parse_image_ref(image);
}

Json json(std::string_view text) {
  return *parse_json(text);
}

/// The header as what it says, keys and all.
std::string said(const RegistryAuth& auth) {
  std::string text = registry_auth_header(auth);
  for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  return *base64_decode(text);
}

/// Helpers in a folder that is first on PATH for as long as it lives.
class Helpers {
 public:
  Helpers() : before_(std::getenv("PATH")) {
    ::setenv("PATH", (folder_.path() + ":" + before_).c_str(), 1);
  }
  ~Helpers() { ::setenv("PATH", before_.c_str(), 1); }
  void add(const std::string& name, const std::string& script) {
    const std::string path = folder_.path() + "/docker-credential-" + name;
    std::ofstream(path) << "#!/bin/sh\n" << script;
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
  }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.path() + "/" + name) << text;
    return folder_.path() + "/" + name;
  }
  const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  std::string before_;
};

}  // namespace

TEST_CASE("a task's own credentials are for its image's registry, where it names no other") {
  EXPECT(!task_auth({}, ref("a/b")).has_value());
  EXPECT_EQ(task_auth({.username = "u", .password = "p"}, ref("a/b"))->server_address,
            "https://index.docker.io/v1/");
  EXPECT_EQ(task_auth({.username = "u", .password = "p"}, ref("r.example:5000/b"))->server_address,
            "r.example:5000");
  EXPECT_EQ(task_auth({.username = "u", .password = "p", .server_address = "other"}, ref("a/b"))
                ->server_address,
            "other");
}

TEST_CASE("the header is JSON in the alphabet for URLs") {
  const RegistryAuth auth{.username = "u", .password = "p>?~", .server_address = "r"};
  EXPECT_EQ(said(auth), R"({"serveraddress":"r","username":"u","password":"p>?~"})");
  EXPECT(registry_auth_header(auth).find_first_of("+/") == std::string::npos);
  EXPECT_EQ(said({.username = "u", .server_address = "r", .identity_token = "t"}),
            R"({"serveraddress":"r","identitytoken":"t"})");
}

TEST_CASE("a config file: credHelpers before credsStore before auths, by key or by host") {
  const auto in = [](std::string_view file, const std::string& image) {
    return *config_file_auth(json(file), ref(image));
  };
  // dTpwOnE= is u:p:q: only the first colon ends the user.
  const std::string_view auths = R"({"auths":{"https://r.example:5000/v1/":{"auth":"dTpwOnE="},
      "plain":{"username":"a","password":"b"},"https://index.docker.io/v1/":{"auth":"aHViOng="},
      "empty.example":{}}})";
  EXPECT_EQ(in(auths, "r.example:5000/b").auth->username, "u");
  EXPECT_EQ(in(auths, "r.example:5000/b").auth->password, "p:q");
  EXPECT_EQ(in(auths, "busybox").auth->username, "hub");
  EXPECT(!in(auths, "r.example:5001/b").auth.has_value());
  EXPECT(!in(auths, "empty.example/b").auth.has_value());
  const std::string_view all = R"({"credsStore":"store","credHelpers":{"r.example":"own"},
      "auths":{"r.example":{"auth":"dTpw"},"s.example":{"auth":"dTpw"}}})";
  EXPECT_EQ(in(all, "r.example/b").helper, "own");
  EXPECT_EQ(in(all, "s.example/b").helper, "store");
  EXPECT(!in(all, "s.example/b").auth.has_value());
  EXPECT_EQ(
      in(R"({"auths":{"r.example":{"identitytoken":"t"}}})", "r.example/b").auth->identity_token,
      "t");
  for (const char* bad :
       {R"([])", R"({"auths":{"r.example":{"auth":"!"}}})",
        R"({"auths":{"r.example":{"auth":"dXA="}}})", R"({"credHelpers":{"r.example":1}})"}) {
    EXPECT(!config_file_auth(json(bad), ref("r.example/b")).has_value());
  }
}

TEST_CASE("a helper's answer, and what is none") {
  const RegistryAuth auth = *helper_auth(R"({"Username":"u","Secret":"s"})", ref("r.example/b"));
  EXPECT_EQ(auth.username, "u");
  EXPECT_EQ(auth.password, "s");
  EXPECT_EQ(auth.server_address, "r.example");
  const RegistryAuth token = *helper_auth(R"({"Username":"<token>","Secret":"s"})", ref("b"));
  EXPECT_EQ(token.identity_token, "s");
  EXPECT(token.password.empty());
  const auto bad = helper_auth("hunter2", ref("b"));
  REQUIRE(!bad.has_value());
  EXPECT(bad.error().message.find("hunter2") == std::string::npos);
  EXPECT(!helper_auth(R"({"Username":"u"})", ref("b")).has_value());
}

TEST_CASE("helpers are run: answers, none, failures, silence, floods, and no path in the name") {
  Helpers helpers;
  helpers.add("good", "read r; [ \"$1\" = get ] && echo \"for $r\"\n");
  helpers.add("none", "echo 'credentials not found in native keychain'; exit 1\n");
  helpers.add("bad", "echo 'locked'; exit 3\n");
  helpers.add("silent", "exec sleep 60\n");
  helpers.add("flood", "exec yes\n");
  helpers.add("deaf", "exec 0<&-; echo ok\n");
  EXPECT_EQ(**ask_credential_helper("good", "r.example", 5'000), "for r.example\n");
  EXPECT_EQ(**ask_credential_helper("deaf", "r.example", 5'000), "ok\n");
  EXPECT(!ask_credential_helper("none", "r.example", 5'000)->has_value());
  EXPECT_EQ(ask_credential_helper("bad", "r.example", 5'000).error().message,
            "docker-credential-bad get r.example: failed: locked");
  EXPECT(ask_credential_helper("silent", "r.example", 100).error().code == Code::kTimeout);
  EXPECT(ask_credential_helper("flood", "r.example", 5'000).error().code == Code::kLimit);
  EXPECT(ask_credential_helper("missing", "r.example", 5'000)
             .error()
             .message.find("docker-credential-missing") != std::string::npos);
  EXPECT(ask_credential_helper("../good", "r.example", 5'000).error().code == Code::kInvalid);
}

TEST_CASE(
    "the task comes first, then the config file, then the helper; a named file must be there") {
  Helpers helpers;
  helpers.add("own", "echo '{\"Username\":\"helper\",\"Secret\":\"s\"}'\n");
  const std::string file =
      helpers.write("config.json", R"({"auths":{"r.example":{"auth":"dTpw"}}})");
  UvLoop loop;
  const auto user = [&](CredentialsOptions options, const std::string& image,
                        const DockerAuth& of_task = {}) -> std::string {
    Credentials credentials(loop, std::move(options));
    auto found = run_to_end(loop, credentials.find(of_task, ref(image)));
    if (!found) return "error: " + found.error().message;
    return *found ? (*found)->username : "nobody";
  };
  const CredentialsOptions both{.config_file = file, .helper = "own"};
  EXPECT_EQ(user(both, "r.example/b", {.username = "task", .password = "p"}), "task");
  EXPECT_EQ(user(both, "r.example/b"), "u");
  EXPECT_EQ(user(both, "s.example/b"), "helper");
  EXPECT_EQ(user({.config_file = file}, "s.example/b"), "nobody");
  const std::string missing = helpers.folder().path() + "/none.json";
  EXPECT_EQ(user({.config_file = missing}, "r.example/b"), "nobody");
  EXPECT(
      user({.config_file = missing, .config_file_named = true}, "r.example/b").find("none.json") !=
      std::string::npos);
  const std::string broken = helpers.write("broken.json", "{");
  EXPECT_EQ(user({.config_file = broken}, "r.example/b"), "error: " + broken + ": it is not JSON");
}

}  // namespace sluice::drivers
