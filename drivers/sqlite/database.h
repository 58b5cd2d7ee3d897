// Database and Statement: SQLite's handles with our errors. Each error names the file.
//
// Owner: a LogFile. Thread: any, one at a time; the connection has no lock of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sluice::drivers::sqlite {

class Database {
 public:
  /// Opens the file, which is there. Closing leaves it and its -wal as they are until
  /// `tidy_on_close`.
  static Result<Database> open(const std::string& path);

  Database(Database&&) = default;
  Database& operator=(Database&&) = default;

  /// One statement or many, without rows.
  Result<void> run(const char* sql);
  /// The first column of the first row; "" without a row.
  Result<std::string> ask(const char* sql);
  /// The connection's last error, as an operator reads it.
  [[nodiscard]] std::unexpected<Error> error() const;
  /// SQLite's code of the last error, extended.
  [[nodiscard]] int last_code() const;
  /// errno of the -wal's last failed call; 0: none failed.
  [[nodiscard]] int last_errno() const;
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] int64_t rows_changed() const;
  /// From now on closing writes the -wal into the file and removes it.
  void tidy_on_close();

  [[nodiscard]] sqlite3* raw() const { return handle_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  explicit Database(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// A prepared statement. The database outlives it.
class Statement {
 public:
  static Result<Statement> prepare(Database& database, const char* sql);

  /// From 1. The text must live until the next reset().
  void bind(int at, int64_t value);
  void bind(int at, std::string_view bytes);
  /// True: there is a row; false: done.
  Result<bool> step();
  void reset();
  [[nodiscard]] int64_t number(int column) const;
  /// Until the next step() or reset().
  [[nodiscard]] std::string_view bytes(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  explicit Statement(Database& database) : database_(&database) {}

  Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

}  // namespace sluice::drivers::sqlite
