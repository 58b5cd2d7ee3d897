#include "proxy/auth.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "core/base64.h"
#include "core/digest.h"
#include "core/loop.h"
#include "core/scope.h"
#include "test/proxy/routed.h"
#include "test/test.h"

namespace sluice::proxy::test {

namespace {

/// A file of the test's own.
class TextFile {
 public:
  explicit TextFile(const std::string& text) {
    const int fd = ::mkstemp(path_);
    CHECK(fd >= 0);
    ::close(fd);
    write(text);
  }
  ~TextFile() { ::unlink(path_); }
  void write(const std::string& text) { CHECK(disk_.write_file(path_, text, 0600).has_value()); }
  void remove() { ::unlink(path_); }
  std::string path() const { return path_; }
  PosixDisk& disk() { return disk_; }

 private:
  char path_[32] = "/tmp/sluice-auth-XXXXXX";
  PosixDisk disk_;
};

std::string hashed(const std::string& password, int cost = 4) {
  SeededRandom random(7);
  return *bcrypt(password, cost, random);
}

std::string basic(const std::string& user, const std::string& password) {
  return "Authorization: Basic " + base64_encode(user + ":" + password) + "\r\n";
}

std::string status_of(const std::string& answer) {
  return answer.substr(0, 12);
}

struct Guarded {
  explicit Guarded(const std::string& users)
      : file(users), log(STDERR_FILENO, {.level = LogLevel::kError}) {
    auto opened = AuthRegistry::open(
        *parse_auth_specs("name=in;type=basic;realm=\"a \"\"b\";file=" + file.path()), file.disk(),
        log);
    CHECK(opened.has_value());
    auth = std::move(*opened);
    WorkerOptions options;
    options.guards.auth = auth.get();
    options.guards.secret = {3, 4};
    PublisherOptions publisher;
    publisher.auth_schemes = auth->names();
    routed = std::make_unique<Routed>(std::move(options), std::move(publisher));
  }
  ~Guarded() {
    routed->proxy().stop();
    auth.reset();  // whose thread may still have posted to a reactor
  }
  TextFile file;
  Log log;
  std::unique_ptr<AuthRegistry> auth;
  std::unique_ptr<Routed> routed;
};

}  // namespace

TEST_CASE("auth specs: every option, and what is wrong by its name") {
  const auto specs = parse_auth_specs(
      "name=a;type=basic;file=/x, name=b;type=basic;file=\"/y,z\";realm=in;refresh=5s");
  REQUIRE(specs.has_value());
  REQUIRE(specs->size() == 2);
  EXPECT_EQ((*specs)[0].realm, "a");
  EXPECT_EQ((*specs)[1].file, "/y,z");
  EXPECT_EQ((*specs)[1].refresh_ms, 5000);
  EXPECT(parse_auth_specs("")->empty());
  for (const auto& [text, word] :
       {std::pair{"type=basic;file=/x", "name="}, std::pair{"name=a;type=ldap;file=/x", "ldap"},
        std::pair{"name=a;type=basic", "file="}, std::pair{"name=a;type=basic;file=/x;x=y", "x"},
        std::pair{"name=a;type=basic;file=/x;refresh=soon", "refresh"},
        std::pair{"name=a;type=basic;file=/x,name=a;type=basic;file=/y", "taken"},
        std::pair{"name=a;type=basic;file=/x;realm=a\nb", "control"}}) {
    CAPTURE(text);
    const auto bad = parse_auth_specs(text);
    REQUIRE(!bad.has_value());
    EXPECT(bad.error().message.find(word) != std::string::npos);
  }
}

TEST_CASE("htpasswd: comments, Windows lines, further fields; bad lines are left out by number") {
  std::vector<std::string> problems;
  const UserList users = UserList::parse(
      "# comment\n\nann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\r\nbob:plain\nno-colon\n:x\n"
      "cid:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=:more:fields\n",
      problems);
  EXPECT_EQ(users.size(), 2u);
  CHECK(users.find("ann") != nullptr);
  EXPECT_EQ(*users.find("ann"), "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=");
  EXPECT_EQ(*users.find("cid"), "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=");
  EXPECT(users.find("bob") == nullptr);
  REQUIRE(problems.size() == 3);
  EXPECT_EQ(problems[0], "line 4: the hash of bob is neither bcrypt, apr1, SHA-crypt nor {SHA}");
  EXPECT_EQ(problems[1], "line 5: want name:hash");
}

TEST_CASE("a route with auth=: 401 and the challenge, or through; other routes are open") {
  Guarded guarded("ann:" + hashed("right") + "\nbob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n");
  Routed& routed = *guarded.routed;
  const Answering one("one");
  routed.set("in", "in.com/ auth=in", {{one.address()}});
  routed.set("out", "out.com/", {{one.address()}});
  const std::string refused = routed.ask("in.com", "/");
  EXPECT_EQ(refused.substr(0, refused.find("Content-Type")),
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a \\\"\\\"b\", "
            "charset=\"UTF-8\"\r\n");
  for (int i = 0; i < 2; ++i) {  // the second time from memory
    EXPECT_EQ(status_of(routed.ask("in.com", "/", basic("ann", "right"))), "HTTP/1.1 200");
    EXPECT_EQ(status_of(routed.ask("in.com", "/", basic("bob", "secret"))), "HTTP/1.1 200");
    EXPECT_EQ(status_of(routed.ask("in.com", "/", basic("ann", "wrong"))), "HTTP/1.1 401");
    EXPECT_EQ(status_of(routed.ask("in.com", "/", basic("eve", "right"))), "HTTP/1.1 401");
  }
  for (const char* header :
       {"Authorization: Bearer x\r\n", "Authorization: Basic\r\n", "Authorization: Basic !!!\r\n",
        "Authorization: Basic eA==\r\n", "Authorization: \r\n"}) {
    CAPTURE(header);
    EXPECT_EQ(status_of(routed.ask("in.com", "/", header)), "HTTP/1.1 401");
  }
  EXPECT_EQ(status_of(routed.ask("in.com", "/",
                                 "Authorization: basic   " + base64_encode("ann:right") + "\r\n")),
            "HTTP/1.1 200");
  EXPECT_EQ(status_of(routed.ask("out.com", "/")), "HTTP/1.1 200");
  EXPECT_EQ(one.served(), 6);
}

TEST_CASE("a slow hash does not hold up the reactor, and a client may go while it is checked") {
  Guarded guarded("ann:" + hashed("right", 11) + "\n");
  Routed& routed = *guarded.routed;
  const Answering one("one");
  routed.set("in", "in.com/ auth=in", {{one.address()}});
  routed.set("out", "out.com/", {{one.address()}});
  std::vector<Wire> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(routed.connect());
    clients.back().send("POST / HTTP/1.1\r\nHost: in.com\r\n" + basic("ann", "right") +
                        "Content-Length: 2\r\n\r\nab");
  }
  // Answered while the checks are under way.
  EXPECT_EQ(status_of(routed.ask("out.com", "/")), "HTTP/1.1 200");
  clients[0].reset();
  for (size_t i = 1; i < clients.size(); ++i) {
    EXPECT_EQ(status_of(clients[i].read_head()), "HTTP/1.1 200");
  }
}

TEST_CASE("a file that changes is read again; one that goes changes nothing") {
  TextFile file("ann:" + hashed("old") + "\n");
  Log log(STDERR_FILENO, {.level = LogLevel::kError});
  auto opened = AuthRegistry::open(
      *parse_auth_specs("name=in;type=basic;refresh=1ms;file=" + file.path()), file.disk(), log);
  REQUIRE(opened.has_value());
  AuthRegistry& auth = **opened;
  UvLoop loop;
  int changes = 0;
  auto scope = std::make_unique<Scope>(loop);
  const auto changed = [&](size_t, std::shared_ptr<const UserList> users) {
    ++changes;
    if (changes == 1) {
      EXPECT(users->find("bob") != nullptr);
      file.remove();
      // Missing for one look, then there again with another list.
      scope->spawn([](Executor& on, TextFile& text) -> Task<void> {
        co_await sleep_for(on, 1500);
        text.write("cid:" + hashed("x") + "\n");
      }(loop, file));
    } else {
      loop.stop();
    }
  };
  scope->spawn(auth.watch(loop, changed));
  file.write("bob:" + hashed("new") + "\n");
  loop.run();
  scope.reset();
  EXPECT_EQ(changes, 2);
  EXPECT(auth.users(0)->find("cid") != nullptr);
  EXPECT(!AuthRegistry::open(*parse_auth_specs("name=a;type=basic;file=/nowhere"), file.disk(), log)
              .has_value());
}

}  // namespace sluice::proxy::test
