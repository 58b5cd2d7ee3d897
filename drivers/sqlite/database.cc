#include "drivers/sqlite/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstring>
#include <utility>

#include "core/check.h"

namespace sluice::drivers::sqlite {

namespace {

/// Never kInternal: that is what a store says of an append whose outcome is unknown.
Code code_of(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_ERROR:  // our statements are right: the file lacks a table or a column
    case SQLITE_CONSTRAINT:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Code::kInvalid;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::kUnavailable;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return Code::kDenied;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM: return Code::kLimit;
    default: return Code::kIo;
  }
}

std::string_view next_step(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL: return "; free some space, writing goes on by itself";
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "; another program has it open, end that";
    default: return "";
  }
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}

Result<Database> Database::open(const std::string& path) {
  Database database(path);
  sqlite3* handle = nullptr;
  // Not SQLITE_OPEN_NOFOLLOW: it refuses a link anywhere in the path.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  database.handle_.reset(handle);
  CHECK(handle != nullptr);  // only for want of memory
  sqlite3_extended_result_codes(handle, 1);
  if (opened != SQLITE_OK) return database.error();
  CHECK(sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr) == SQLITE_OK);
  return database;
}

void Database::tidy_on_close() {
  CHECK(sqlite3_db_config(raw(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr) == SQLITE_OK);
}

std::unexpected<Error> Database::error() const {
  const int code = last_code();
  const int primary = code & 0xff;
  const int system = last_errno();
  std::string why = sqlite3_errmsg(raw());
  if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && system != 0) {
    why += fmt::format(", {}", std::strerror(system));
  }
  return fail(code_of(code), "{}: {} (SQLite {}){}", path_, why, code, next_step(code));
}

int Database::last_code() const {
  return sqlite3_extended_errcode(raw());
}

int Database::last_errno() const {
  // sqlite3_system_errno() reads errno after other calls have changed it.
  sqlite3_file* log = nullptr;
  int number = 0;
  if (sqlite3_file_control(raw(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
      log != nullptr && log->pMethods != nullptr) {
    log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &number);
  }
  return number;
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(raw()) == 0;
}

int64_t Database::rows_changed() const {
  return sqlite3_changes64(raw());
}

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(raw(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
  return {};
}

Result<std::string> Database::ask(const char* sql) {
  Result<Statement> statement = Statement::prepare(*this, sql);
  if (!statement) return pass(statement);
  Result<bool> row = statement->step();
  if (!row) return pass(row);
  return *row ? std::string(statement->bytes(0)) : std::string();
}

void Statement::Finalize::operator()(sqlite3_stmt* handle) const {
  sqlite3_finalize(handle);
}

Result<Statement> Statement::prepare(Database& database, const char* sql) {
  Statement statement(database);
  sqlite3_stmt* handle = nullptr;
  const int done = sqlite3_prepare_v2(database.raw(), sql, -1, &handle, nullptr);
  statement.handle_.reset(handle);
  if (done != SQLITE_OK) return database.error();
  return statement;
}

void Statement::bind(int at, int64_t value) {
  CHECK(sqlite3_bind_int64(handle_.get(), at, value) == SQLITE_OK);
}

void Statement::bind(int at, std::string_view bytes) {
  // Fails for what is longer than SQLite's limit: the value is then NULL, which the table refuses.
  (void)sqlite3_bind_blob64(handle_.get(), at, bytes.data(), bytes.size(), SQLITE_STATIC);
}

Result<bool> Statement::step() {
  const int done = sqlite3_step(handle_.get());
  if (done == SQLITE_ROW) return true;
  if (done == SQLITE_DONE) return false;
  return database_->error();
}

void Statement::reset() {
  sqlite3_reset(handle_.get());
  sqlite3_clear_bindings(handle_.get());
}

int64_t Statement::number(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

std::string_view Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_.get(), column);
  const int size = sqlite3_column_bytes(handle_.get(), column);
  return {static_cast<const char*>(data), static_cast<size_t>(size)};
}

}  // namespace sluice::drivers::sqlite
