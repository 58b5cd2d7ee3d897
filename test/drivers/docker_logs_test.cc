// The copier of a container's logs: each line once, through crashes at any byte, broken streams,
// full disks, rotation here and in Docker.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "drivers/docker/log_copy.h"
#include "test/drivers/temporary_folder.h"
#include "test/test.h"

namespace sluice::drivers {
namespace {

/// Docker's side: what the container has said so far.
struct Message {
  LogStream stream;
  int64_t time_ns;
  std::string text;
};

std::string stamp(int64_t time_ns) {
  // All times of the tests lie within one minute.
  constexpr int64_t kBase = 1553933580;  // 2019-03-30T08:13:00Z
  int64_t second = time_ns / 1'000'000'000 - kBase;
  REQUIRE(second >= 0);
  REQUIRE(second < 60);
  return fmt::format("2019-03-30T08:13:{:02}.{:09}Z ", second, time_ns % 1'000'000'000);
}

std::string framed(const Message& message) {
  std::string payload = stamp(message.time_ns) + message.text;
  std::string bytes{static_cast<char>(message.stream == LogStream::kStdout ? 1 : 2), 0, 0, 0};
  for (int shift : {24, 16, 8, 0}) bytes += static_cast<char>(payload.size() >> shift & 0xff);
  return bytes + payload;
}

std::string replay(const std::vector<Message>& said, size_t upto, std::string_view since) {
  int64_t since_ns = 0;
  if (!since.empty()) {
    size_t dot = since.find('.');
    since_ns = std::stoll(std::string(since.substr(0, dot))) * 1'000'000'000 +
               std::stoll(std::string(since.substr(dot + 1)));
  }
  std::string bytes;
  for (size_t i = 0; i < upto; ++i) {
    if (said[i].time_ns >= since_ns) bytes += framed(said[i]);
  }
  return bytes;
}

std::string expected(const std::vector<Message>& said, LogStream stream) {
  std::string all;
  for (const Message& message : said) {
    if (message.stream == stream) all += message.text;
  }
  return all;
}

std::unique_ptr<LogCopy> open_copy(const std::string& folder, int64_t max_file_bytes = 1 << 20,
                                   const std::string& container = "c1",
                                   int64_t max_files = 10'000) {
  auto copy = LogCopy::open({.folder = folder,
                             .task = "web",
                             .max_files = max_files,
                             .max_file_bytes = max_file_bytes,
                             .container_id = container});
  if (!copy) INFO(copy.error().message);
  REQUIRE(copy.has_value());
  return *std::move(copy);
}

constexpr int64_t kStart = 1553933580'000'000'000;

std::vector<Message> random_messages(std::mt19937& random, size_t count) {
  std::vector<Message> said;
  int64_t time_ns = kStart;
  for (size_t i = 0; i < count; ++i) {
    if (random() % 3 != 0) time_ns += random() % 100'000'000;  // a third share their time
    LogStream stream = random() % 3 == 0 ? LogStream::kStderr : LogStream::kStdout;
    // Few different texts: a wrong place would often go unseen if they were all different.
    std::string text = random() % 4 == 0 ? fmt::format("line {}\n", i) : "same\n";
    if (random() % 10 == 0) text = std::string(random() % 3000, 'p');
    // Streams pass one another by a little.
    int64_t skew = stream == LogStream::kStderr ? static_cast<int64_t>(random() % 1000) * 1000 : 0;
    said.push_back({stream, time_ns + skew, text});
  }
  const Message* newest[2] = {nullptr, nullptr};
  for (Message& message : said) {  // but each keeps its own order
    const Message*& last = newest[message.stream == LogStream::kStdout ? 0 : 1];
    // The parts of a line share their time, whole lines do not.
    if (last != nullptr && message.time_ns <= last->time_ns) {
      message.time_ns = last->time_ns + (last->text.ends_with('\n') ? 1 : 0);
    }
    last = &message;
  }
  return said;
}

TEST_CASE("docker logs: crashes at any byte lose and repeat nothing") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    TemporaryFolder folder;
    std::vector<Message> said = random_messages(random, 200);
    size_t upto = 0;
    while (upto < said.size()) {
      auto copy = open_copy(folder.path(), 4096);
      for (int streams = 1 + static_cast<int>(random() % 2); streams > 0; --streams) {
        upto = std::min(said.size(), upto + random() % 40);
        std::string bytes = replay(said, upto, copy->begin_stream());
        // The agent dies, or the stream breaks, at some byte.
        size_t stop = random() % 2 == 0 ? bytes.size() : random() % (bytes.size() + 1);
        for (size_t at = 0; at < stop;) {
          size_t piece = std::min<size_t>(1 + random() % 700, stop - at);
          REQUIRE(copy->feed(std::string_view(bytes).substr(at, piece)).has_value());
          at += piece;
          if (random() % 8 == 0) REQUIRE(copy->checkpoint().has_value());
        }
      }
      EXPECT_EQ(copy->mismatches(), 0);
    }
    auto last = open_copy(folder.path(), 4096);
    REQUIRE(last->feed(replay(said, said.size(), last->begin_stream())).has_value());
    EXPECT_EQ(last->mismatches(), 0);
    EXPECT(content(folder.path(), "web.stdout") == expected(said, LogStream::kStdout));
    EXPECT(content(folder.path(), "web.stderr") == expected(said, LogStream::kStderr));
  }
}

TEST_CASE("docker logs: a message that was written in part is completed") {
  TemporaryFolder folder;
  std::vector<Message> said = {{LogStream::kStdout, kStart, "first\n"},
                               {LogStream::kStdout, kStart + 1, "second line\n"}};
  {
    auto copy = open_copy(folder.path());
    REQUIRE(copy->feed(replay(said, 1, copy->begin_stream())).has_value());
  }
  std::ofstream(folder.path() + "/web.stdout.0", std::ios::app) << "second";
  auto copy = open_copy(folder.path());
  REQUIRE(copy->feed(replay(said, 2, copy->begin_stream())).has_value());
  EXPECT_EQ(content(folder.path(), "web.stdout"), "first\nsecond line\n");
}

TEST_CASE("docker logs: what Docker no longer has is a mismatch, and nothing new is lost") {
  TemporaryFolder folder;
  std::vector<Message> said = {{LogStream::kStdout, kStart, "old\n"},
                               {LogStream::kStdout, kStart + 1, "gone\n"},
                               {LogStream::kStdout, kStart + 2, "new\n"}};
  {
    auto copy = open_copy(folder.path());
    REQUIRE(copy->feed(replay(said, 2, copy->begin_stream())).has_value());
  }
  said.erase(said.begin(), said.begin() + 2);
  auto copy = open_copy(folder.path());
  REQUIRE(copy->feed(replay(said, 1, copy->begin_stream())).has_value());
  EXPECT_EQ(content(folder.path(), "web.stdout"), "old\ngone\nnew\n");
  EXPECT_EQ(copy->mismatches(), 1);
}

TEST_CASE("docker logs: what Docker rotated away before it was copied is said") {
  TemporaryFolder folder;
  std::vector<Message> said = {{LogStream::kStdout, kStart, "a\n"},
                               {LogStream::kStderr, kStart + 1, "e\n"},
                               {LogStream::kStdout, kStart + 2, "b\n"},
                               {LogStream::kStdout, kStart + 3, "c\n"},
                               {LogStream::kStdout, kStart + 4, "d\n"}};
  const auto copied = [&](const std::string& in, size_t before, size_t gone) {
    {
      auto copy = open_copy(in);
      std::vector<Message> early(said.begin(), said.begin() + static_cast<long>(before));
      REQUIRE(copy->feed(replay(early, before, copy->begin_stream())).has_value());
      REQUIRE(copy->checkpoint());
      EXPECT(!copy->take_gap());
    }
    auto copy = open_copy(in);
    std::vector<Message> left(said.begin() + static_cast<long>(gone), said.end());
    REQUIRE(copy->feed(replay(left, left.size(), copy->begin_stream())).has_value());
    return copy->take_gap();
  };
  TemporaryFolder whole, last;
  EXPECT(!copied(whole.path(), 3, 0));
  EXPECT(!copied(last.path(), 3, 2));  // the last one copied is still there: nothing is missing
  const auto gap = copied(folder.path(), 3, 4);
  REQUIRE(gap);
  EXPECT_EQ(gap->from_ns, kStart + 2);
  EXPECT_EQ(gap->to_ns, kStart + 4);
  EXPECT_EQ(content(folder.path(), "web.stdout"), "a\nb\nd\n");
}

TEST_CASE("docker logs: a stream that was quiet for long misses nothing") {
  TemporaryFolder folder;
  constexpr int64_t kLater = kStart + 20'000'000'000;
  std::vector<Message> said = {{LogStream::kStderr, kStart, "early\n"},
                               {LogStream::kStdout, kLater, "now\n"},
                               {LogStream::kStderr, kLater + 1, "next\n"}};
  {
    auto copy = open_copy(folder.path());
    std::vector<Message> early(said.begin(), said.begin() + 2);
    REQUIRE(copy->feed(replay(early, 2, copy->begin_stream())).has_value());
    REQUIRE(copy->checkpoint());
  }
  auto copy = open_copy(folder.path());
  REQUIRE(copy->feed(replay(said, 3, copy->begin_stream())).has_value());
  EXPECT(!copy->take_gap());
  EXPECT_EQ(content(folder.path(), "web.stderr"), "early\nnext\n");
}

TEST_CASE("docker logs: the next container of the task goes on in the same files") {
  TemporaryFolder folder;
  std::vector<Message> said = {{LogStream::kStdout, kStart, "run\n"}};
  for (const char* container : {"c1", "c2", "c2"}) {
    auto copy = open_copy(folder.path(), 1 << 20, container);
    REQUIRE(copy->feed(replay(said, 1, copy->begin_stream())).has_value());
  }
  EXPECT_EQ(content(folder.path(), "web.stdout"), "run\nrun\n");
}

TEST_CASE("docker logs: rotation keeps the newest files") {
  TemporaryFolder folder;
  auto copy = open_copy(folder.path(), 1024, "c1", 3);
  (void)copy->begin_stream();
  std::string all;
  for (int i = 0; i < 100; ++i) {
    std::string line = fmt::format("{:099}\n", i);
    all += line;
    REQUIRE(copy->feed(framed({LogStream::kStdout, kStart + i, line})).has_value());
  }
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (!entry.path().filename().string().starts_with("web.stdout.")) continue;
    ++files;
    EXPECT(entry.file_size() <= 1024u);
  }
  EXPECT_EQ(files, 3u);
  EXPECT(all.ends_with(content(folder.path(), "web.stdout")));
  EXPECT_EQ(content(folder.path(), "web.stdout").size(), 10'000u - 7u * 1024u);
}

// As Docker 20.10 does while it rotates its file.
TEST_CASE("docker logs: a stream that starts over repeats nothing") {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    TemporaryFolder folder;
    std::vector<Message> said = random_messages(random, 200);
    auto copy = open_copy(folder.path(), 4096);
    (void)copy->begin_stream();
    for (size_t i = 0; i < said.size(); ++i) {
      REQUIRE(copy->feed(framed(said[i]), said[i].time_ns).has_value());
      if (random() % 10 != 0) continue;
      size_t from = random() % (i + 1);
      // Each stream begins with a whole line.
      bool parts = false;
      for (LogStream stream : {LogStream::kStdout, LogStream::kStderr}) {
        size_t first = from;
        while (first <= i && said[first].stream != stream) ++first;
        parts = parts || (first <= i && !said[first].text.ends_with('\n'));
      }
      if (parts) continue;
      for (; from <= i; ++from) REQUIRE(copy->feed(framed(said[from])).has_value());
    }
    EXPECT_EQ(content(folder.path(), "web.stdout"), expected(said, LogStream::kStdout));
    EXPECT_EQ(content(folder.path(), "web.stderr"), expected(said, LogStream::kStderr));
  }
}

TEST_CASE("docker logs: a clock that is set back loses nothing") {
  TemporaryFolder folder;
  auto copy = open_copy(folder.path());
  (void)copy->begin_stream();
  std::string all;
  for (int64_t second : {20, 21, 11, 12, 21, 22}) {
    const int64_t time_ns = kStart + second * 1'000'000'000;
    const std::string text = fmt::format("line {}\n", all.size());
    REQUIRE(copy->feed(framed({LogStream::kStdout, time_ns, text}), time_ns).has_value());
    all += text;
  }
  EXPECT_EQ(content(folder.path(), "web.stdout"), all);
}

TEST_CASE("docker logs: two copiers of one task do not meet") {
  TemporaryFolder folder;
  auto first = open_copy(folder.path());
  auto second = LogCopy::open({.folder = folder.path(), .task = "web", .container_id = "c1"});
  REQUIRE(!second.has_value());
  EXPECT(second.error().code == Code::kConflict);
  first.reset();
  EXPECT(LogCopy::open({.folder = folder.path(), .task = "web", .container_id = "c1"}).has_value());
}

TEST_CASE("docker logs: a missing folder is an error") {
  auto copy = LogCopy::open({.folder = "/nonexistent/x", .task = "web", .container_id = "c1"});
  REQUIRE(!copy.has_value());
  EXPECT(copy.error().code == Code::kNotFound);
}

}  // namespace
}  // namespace sluice::drivers
