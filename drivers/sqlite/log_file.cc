#include "drivers/sqlite/log_file.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "core/check.h"
#include "core/digest.h"
#include "core/disk.h"

namespace sluice::drivers::sqlite {

namespace {

constexpr int64_t kApplicationId = 0x736c7563;  // "sluc": what file(1) shows of it
// At a time, so that an append does not wait for all of them.
constexpr const char* kRemoveLog =
    "DELETE FROM log WHERE idx IN (SELECT idx FROM log WHERE idx <= ?1 LIMIT 1000)";
constexpr const char* kRemoveParts =
    "DELETE FROM part WHERE id IN (SELECT id FROM part WHERE idx <> ?1 LIMIT 10)";

std::string checksum(uint64_t index, uint64_t part, std::string_view text) {
  std::string whole = fmt::format("{}/{}:", index, part);
  whole += text;
  return digest(DigestKind::kSha256, whole);
}

int64_t signed_index(uint64_t index) {
  return static_cast<int64_t>(index);
}

int64_t to_number(std::string_view digits) {
  int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// Whether a COMMIT that failed left nothing for certain: its last frame was never written whole.
/// After a failed fsync nobody knows.
bool nothing_written(const Database& database) {
  const int code = database.last_code();
  if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY) return true;
  const int error = database.last_errno();
  return code == SQLITE_IOERR_WRITE && (error == EDQUOT || error == EFBIG || error == ENOSPC);
}

}  // namespace

LogFile::LogFile(std::string path, LogFileOptions options)
    : path_(std::move(path)), options_(options) {}

std::unexpected<Error> LogFile::damaged(std::string_view what) const {
  return fail(Code::kInvalid,
              "{0} is damaged: {1}. Nothing was changed, and running tasks go on. Put back a good "
              "copy of {0} and, if there is one, {0}-wal; or start anew with another data_dir, and "
              "what runs "
              "from this one goes on by itself",
              path_, what);
}

std::unique_lock<std::mutex> LogFile::lock() {
  const std::scoped_lock next(turn_);
  return std::unique_lock(mutex_);
}

// ---------------------------------------------------------------------------------------- loading

Result<void> LogFile::load(const Visit& visit) {
  const auto held = lock();
  database_.reset();
  sizes_ = {};
  checkpoint_index_ = last_index_ = 0;
  outcome_unknown_ = false;
  Result<void> done = open();
  if (done) done = read(visit);
  if (done) done = use_wal();
  if (done) {
    database_->tidy_on_close();
    return done;
  }
  database_.reset();
  if (done.error().code == Code::kInvalid) return damaged(done.error().message);
  return done;
}

Result<void> LogFile::open() {
  PosixDisk disk;
  if (!disk.exists(path_)) {
    if (disk.exists(path_ + "-wal")) {
      return fail(Code::kInvalid, "its {}-wal is there without it", path_);
    }
    // Jobs hold secrets. The -wal gets the same mode from SQLite.
    Result<void> made = disk.write_file(path_, "", 0600);
    if (!made) return made;
  }
  Result<Database> opened = Database::open(path_);
  if (!opened) return pass(opened);
  database_.emplace(std::move(*opened));
  sqlite3_busy_timeout(database_->raw(), static_cast<int>(options_.busy_wait_ms));
  Result<void> done = database_->run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL");
  if (!done) return done;
  if (options_.max_pages > 0) {
    done = database_->run(fmt::format("PRAGMA max_page_count = {}", options_.max_pages).c_str());
    if (!done) return done;
  }
  Result<std::string> tables = database_->ask("SELECT count(*) FROM sqlite_schema");
  if (!tables) return pass(tables);
  return *tables == "0" ? make() : check_format();
}

Result<void> LogFile::use_wal() {
  Result<std::string> mode = database_->ask("PRAGMA journal_mode = WAL");
  if (!mode) return pass(mode);
  if (*mode != "wal") return fail(Code::kUnsupported, "{}: no WAL mode on this file system", path_);
  return {};
}

Result<void> LogFile::make() {
  Result<void> done = use_wal();
  if (done) done = begin();
  if (!done) return done;
  done = database_->run(
      fmt::format(
          "CREATE TABLE log (idx INTEGER PRIMARY KEY, sum BLOB NOT NULL, text BLOB NOT NULL);"
          "CREATE TABLE checkpoint (idx INTEGER PRIMARY KEY, parts INTEGER NOT NULL);"
          "CREATE TABLE part (id INTEGER PRIMARY KEY, idx INTEGER NOT NULL,"
          " part INTEGER NOT NULL, sum BLOB NOT NULL, text BLOB NOT NULL);"
          "PRAGMA application_id = {};"
          "PRAGMA user_version = {};"
          "COMMIT",
          kApplicationId, options_.format)
          .c_str());
  if (!done) {
    roll_back();
  } else {
    stored_format_ = options_.format;
  }
  return done;
}

Result<void> LogFile::check_format() {
  Result<std::string> id = database_->ask("PRAGMA application_id");
  if (!id) return pass(id);
  Result<std::string> version = database_->ask("PRAGMA user_version");
  if (!version) return pass(version);
  if (to_number(*id) != kApplicationId || to_number(*version) < 1) {
    return fail(Code::kUnsupported,
                "{} is an SQLite database of another program; nothing was changed", path_);
  }
  if (to_number(*version) > options_.format) {
    return fail(Code::kUnsupported,
                "{} has format {}, and this sluice reads formats up to {}: start the newer sluice "
                "that wrote it. Nothing was changed",
                path_, *version, options_.format);
  }
  stored_format_ = to_number(*version);
  return {};
}

Result<void> LogFile::read(const Visit& visit) {
  Result<std::string> sound = database_->ask("PRAGMA quick_check(1)");
  if (!sound) return pass(sound);
  if (*sound != "ok") return fail(Code::kInvalid, "{}", *sound);
  Result<void> done = read_checkpoint(visit);
  if (done) done = read_log(visit);
  return done;
}

Result<void> LogFile::read_checkpoint(const Visit& visit) {
  Result<Statement> newest =
      Statement::prepare(*database_, "SELECT idx, parts FROM checkpoint ORDER BY idx DESC LIMIT 1");
  if (!newest) return pass(newest);
  Result<bool> there = newest->step();
  if (!there) return pass(there);
  if (!*there) return {};
  checkpoint_index_ = last_index_ = static_cast<uint64_t>(newest->number(0));
  const auto parts = static_cast<uint64_t>(newest->number(1));
  Result<Statement> rows =
      Statement::prepare(*database_, "SELECT part, sum, text FROM part WHERE idx = ?1 ORDER BY id");
  if (!rows) return pass(rows);
  rows->bind(1, signed_index(checkpoint_index_));
  uint64_t seen = 0;
  for (;; ++seen) {
    Result<bool> row = rows->step();
    if (!row) return pass(row);
    if (!*row) break;
    const std::string_view text = rows->bytes(2);
    if (static_cast<uint64_t>(rows->number(0)) != seen ||
        rows->bytes(1) != checksum(checkpoint_index_, seen, text)) {
      return fail(Code::kInvalid, "part {} of the checkpoint at index {} is not what was written",
                  seen, checkpoint_index_);
    }
    sizes_.checkpoint += text.size();
    Result<void> taken = visit(checkpoint_index_, text);
    if (!taken)
      return pass(taken, "part {} of the checkpoint at index {}", seen, checkpoint_index_);
  }
  if (seen != parts) {
    return fail(Code::kInvalid, "the checkpoint at index {} has {} of its {} parts",
                checkpoint_index_, seen, parts);
  }
  return {};
}

Result<void> LogFile::read_log(const Visit& visit) {
  Result<Statement> rows =
      Statement::prepare(*database_, "SELECT idx, sum, text FROM log WHERE idx > ?1 ORDER BY idx");
  if (!rows) return pass(rows);
  rows->bind(1, signed_index(checkpoint_index_));
  for (;;) {
    Result<bool> row = rows->step();
    if (!row) return pass(row);
    if (!*row) return {};
    const auto index = static_cast<uint64_t>(rows->number(0));
    if (index != last_index_ + 1) {
      return fail(Code::kInvalid, "commit {} is missing", last_index_ + 1);
    }
    const std::string_view text = rows->bytes(2);
    if (rows->bytes(1) != checksum(index, 0, text)) {
      return fail(Code::kInvalid, "commit {} is not what was written", index);
    }
    Result<void> taken = visit(index, text);
    if (!taken) return pass(taken, "commit {}", index);
    last_index_ = index;
    sizes_.log += text.size();
  }
}

// ---------------------------------------------------------------------------------------- writing

Result<void> LogFile::begin() {
  roll_back();
  return database_->run("BEGIN IMMEDIATE");
}

/// With the first entry of ours in it, an older file is one that an older sluice must not read.
Result<void> LogFile::raise_format() {
  if (stored_format_ == options_.format) return {};
  return database_->run(fmt::format("PRAGMA user_version = {}", options_.format).c_str());
}

/// SQLite ends a transaction itself after some errors.
void LogFile::roll_back() {
  if (database_->in_transaction()) (void)database_->run("ROLLBACK");
}

Result<void> LogFile::append(const std::vector<LogEntry>& entries) {
  const auto held = lock();
  CHECK(database_);
  if (outcome_unknown_) {
    return fail(Code::kInternal, "{}: it is not known what an earlier write left", path_);
  }
  Result<void> done = begin();
  if (done) done = raise_format();
  if (!done) {
    roll_back();
    return done;
  }
  Result<Statement> insert =
      Statement::prepare(*database_, "INSERT INTO log (idx, sum, text) VALUES (?1, ?2, ?3)");
  if (!insert) {
    roll_back();
    return pass(insert);
  }
  uint64_t index = last_index_;
  uint64_t bytes = 0;
  for (const LogEntry& entry : entries) {
    CHECK(entry.index == ++index);
    const std::string sum = checksum(index, 0, entry.text);
    insert->bind(1, signed_index(index));
    insert->bind(2, sum);
    insert->bind(3, entry.text);
    Result<bool> put = insert->step();
    if (!put) {
      insert->reset();
      roll_back();
      return pass(put);
    }
    insert->reset();
    bytes += entry.text.size();
  }
  done = database_->run("COMMIT");
  if (!done) {
    if (!nothing_written(*database_)) {
      outcome_unknown_ = true;
      done.error().code = Code::kInternal;
    }
    roll_back();
    return done;
  }
  stored_format_ = options_.format;
  last_index_ = index;
  sizes_.log += bytes;
  return {};
}

Result<void> LogFile::put_part(uint64_t index, uint64_t part, std::string_view text) {
  const auto held = lock();
  Result<Statement> insert = Statement::prepare(
      *database_, "INSERT INTO part (idx, part, sum, text) VALUES (?1, ?2, ?3, ?4)");
  if (!insert) return pass(insert);
  const std::string sum = checksum(index, part, text);
  insert->bind(1, signed_index(index));
  insert->bind(2, signed_index(part));
  insert->bind(3, sum);
  insert->bind(4, text);
  Result<bool> put = insert->step();
  if (!put) return pass(put);
  return {};
}

Result<void> LogFile::finish_checkpoint(uint64_t index, uint64_t parts) {
  const auto held = lock();
  Result<void> done = begin();
  if (!done) return done;
  done = database_->run(fmt::format("INSERT INTO checkpoint (idx, parts) VALUES ({0}, {1});"
                                    "DELETE FROM checkpoint WHERE idx < {0};"
                                    "COMMIT",
                                    index, parts)
                            .c_str());
  if (!done) {
    roll_back();
    return done;
  }
  checkpoint_index_ = index;
  last_index_ = std::max(last_index_, index);
  Result<std::string> left = database_->ask(
      fmt::format("SELECT total(length(text)) FROM log WHERE idx > {}", index).c_str());
  if (!left) return pass(left);
  sizes_.log = static_cast<uint64_t>(to_number(*left));
  return {};
}

/// Repeats the statement until it finds nothing more; others come in between.
Result<void> LogFile::remove_some(const char* sql, uint64_t index) {
  for (;;) {
    const auto held = lock();
    Result<Statement> remove = Statement::prepare(*database_, sql);
    if (!remove) return pass(remove);
    remove->bind(1, signed_index(index));
    Result<bool> done = remove->step();
    if (!done) return pass(done);
    if (database_->rows_changed() == 0) return {};
  }
}

Result<void> LogFile::checkpoint(uint64_t index,
                                 const std::function<Result<void>(const Sink&)>& write) {
  uint64_t before = 0;
  {
    const auto held = lock();
    CHECK(database_);
    before = checkpoint_index_;
  }
  if (index <= before) return {};
  // Of one that was cut off.
  Result<void> done = remove_some(kRemoveParts, before);
  if (!done) return done;
  uint64_t parts = 0;
  uint64_t bytes = 0;
  done = write([&](std::string text) -> Result<void> {
    bytes += text.size();
    return put_part(index, parts++, text);
  });
  if (done) done = finish_checkpoint(index, parts);
  if (!done) {
    // What it takes is given back, if that can be: the disk may be full.
    (void)remove_some(kRemoveParts, before);
    return done;
  }
  {
    const auto held = lock();
    sizes_.checkpoint = bytes;
  }
  done = remove_some(kRemoveLog, index);
  if (done) done = remove_some(kRemoveParts, index);
  return done;
}

LogFile::Sizes LogFile::sizes() {
  const auto held = lock();
  return sizes_;
}

}  // namespace sluice::drivers::sqlite
